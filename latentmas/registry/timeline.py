"""A model's events as sentences: who changed what, when, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model

from latentmas.events import store
from latentmas.events.types import Envelope
from latentmas.registry.aggregate import MODEL
from latentmas.registry.events import (
    ModelActivated,
    ModelDeactivated,
    ModelFactsCorrected,
    ModelPopularityChanged,
    ModelRegistered,
)
from latentmas.registry.facts import ARCHITECTURE

USER = "user:"


@dataclass(frozen=True, slots=True)
class Moment:
    position: int
    version: int
    who: str
    when: datetime
    what: tuple[str, ...]
    reason: str


def timeline(name: str) -> list[Moment]:
    """Return what happened to a model, newest first, with user names in place of ids; two queries."""
    events = store.read_stream(MODEL.stream(name))
    people = _people({event.metadata.actor for event in events})
    moments = [
        Moment(
            position=event.position,
            version=event.version,
            who=people.get(event.metadata.actor, event.metadata.actor),
            when=event.recorded_at,
            what=describe(event),
            reason=getattr(event.data, "reason", ""),
        )
        for event in events
    ]
    return moments[::-1]


def describe(event: Envelope) -> tuple[str, ...]:
    """Return one sentence for each thing that the event changed, such as "popularity 85 -> 88"."""
    match event.data:
        case ModelRegistered(facts=facts, popularity=popularity):
            return (f"registered: {facts.family}", f"popularity {_shown(popularity)}")
        case ModelFactsCorrected(changes=changes):
            return tuple(line for change in changes for line in _changed(_label(change.fact), change.old, change.new))
        case ModelPopularityChanged(old=old, new=new):
            return (f"popularity {_shown(old)} -> {_shown(new)}",)
        case ModelActivated():
            return ("activated",)
        case ModelDeactivated():
            return ("deactivated",)
    return (event.type,)


def _changed(label: str, old: Any, new: Any) -> Iterator[str]:
    """Yield what changed, going into objects such as a RoPE specification or a licence."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                yield from _changed(f"{label} {_label(key)}", old.get(key), new.get(key))
    else:
        yield f"{label} {_shown(old)} -> {_shown(new)}"


def _label(fact: str) -> str:
    return fact.removeprefix(ARCHITECTURE).replace("_", " ")


def _shown(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case Mapping():
            known = {key: item for key, item in value.items() if item is not None}
            return "; ".join(f"{_label(key)} {_shown(item)}" for key, item in known.items()) or "unknown"
        case list() | tuple():
            return ", ".join(map(_shown, value)) or "none"
    return str(value)


def _people(actors: set[str]) -> dict[str, str]:
    numbers: Sequence[str] = [actor.removeprefix(USER) for actor in actors if actor.startswith(USER)]
    users = get_user_model().objects.filter(pk__in=[number for number in numbers if number.isdecimal()])
    return {f"{USER}{user.pk}": user.get_username() for user in users}
