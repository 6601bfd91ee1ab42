"""Writes of the model registry: each command appends to the stream `model/<name>` or changes nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db import IntegrityError

from latentmas.events.commands import execute
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import Conflict, InvalidInput, ModelNotSupported
from latentmas.registry.aggregate import MODEL, ModelState
from latentmas.registry.events import (
    FactChange,
    ModelActivated,
    ModelDeactivated,
    ModelFactsCorrected,
    ModelPopularityChanged,
    ModelRegistered,
)
from latentmas.registry.facts import ModelFacts, check_name, flatten, spellings, with_changes
from latentmas.registry.models import ModelSpelling

MAX_POPULARITY = 100
MAX_REASON = 500


def register_model(
    *, name: str, facts: ModelFacts, metadata: Metadata, popularity: int | None = None
) -> list[Recorded]:
    """Add a model to the registry, active.

    Raises InvalidInput, or Conflict where the name or one of the spellings is taken.
    """
    check_name(name)
    _check_popularity(popularity)
    _refuse_taken(name, spellings(name, facts))

    def decide(state: ModelState) -> Sequence[object]:
        if state.facts is not None:
            raise Conflict(f"the model {name!r} is registered already", field="name")
        return [ModelRegistered(name, facts, popularity)]

    return _execute(name, decide, metadata=metadata, expected=None)


def correct_facts(
    *, name: str, changes: Mapping[str, object], reason: str, metadata: Metadata, expected: int | None = None
) -> list[Recorded]:
    """Replace some facts, named as by `facts.flatten`; those that are the same already are left out.

    Raises ModelNotSupported, InvalidInput, VersionConflict, or Conflict where a new spelling is taken.
    """
    reason = _reason(reason)
    _refuse_taken(name, _spellings_in(changes))

    def decide(state: ModelState) -> Sequence[object]:
        facts = _facts(name, state)
        changed = differences(facts, with_changes(facts, changes))
        return [ModelFactsCorrected(changed, reason)] if changed else []

    return _execute(name, decide, metadata=metadata, expected=expected)


def change_popularity(
    *, name: str, popularity: int | None, metadata: Metadata, reason: str = "", expected: int | None = None
) -> list[Recorded]:
    """Set the popularity, 0 to 100 or unknown. Raises ModelNotSupported, InvalidInput or VersionConflict."""
    _check_popularity(popularity)

    def decide(state: ModelState) -> Sequence[object]:
        _facts(name, state)
        if popularity == state.popularity:
            return []
        return [ModelPopularityChanged(state.popularity, popularity, _optional_reason(reason))]

    return _execute(name, decide, metadata=metadata, expected=expected)


def activate_model(*, name: str, reason: str, metadata: Metadata, expected: int | None = None) -> list[Recorded]:
    """Offer the model again. Raises ModelNotSupported, InvalidInput without a reason, or VersionConflict."""
    reason = _reason(reason)

    def decide(state: ModelState) -> Sequence[object]:
        _facts(name, state)
        return [] if state.active else [ModelActivated(reason)]

    return _execute(name, decide, metadata=metadata, expected=expected)


def deactivate_model(*, name: str, reason: str, metadata: Metadata, expected: int | None = None) -> list[Recorded]:
    """Withdraw the model from new work. Raises ModelNotSupported, InvalidInput without a reason, or VersionConflict."""
    reason = _reason(reason)

    def decide(state: ModelState) -> Sequence[object]:
        _facts(name, state)
        return [ModelDeactivated(reason)] if state.active else []

    return _execute(name, decide, metadata=metadata, expected=expected)


def differences(old: ModelFacts, new: ModelFacts) -> tuple[FactChange, ...]:
    """Return the facts in which `new` differs from `old`, by name."""
    before, after = flatten(old), flatten(new)
    return tuple(FactChange(name, before[name], after[name]) for name in sorted(after) if before[name] != after[name])


def _execute(
    name: str, decide: Callable[[ModelState], Sequence[object]], *, metadata: Metadata, expected: int | None
) -> list[Recorded]:
    try:
        return execute(MODEL, name, decide, metadata=metadata, expected=expected)
    except IntegrityError as error:
        # Another model took a spelling after the check; only the table's primary key excludes that.
        raise Conflict("somebody else took one of these spellings at the same moment", field="aliases") from error


def _refuse_taken(name: str, wanted: Iterable[str]) -> None:
    taken = ModelSpelling.objects.filter(spelling__in=list(wanted)).exclude(model=name).order_by("spelling").first()
    if taken is not None:
        raise Conflict(
            f"{taken.spelling!r} leads to the model {taken.model!r} already",
            field="name" if taken.spelling == name else "aliases",
        )


def _spellings_in(changes: Mapping[str, Any]) -> list[str]:
    given = [*(changes.get("aliases") or ()), changes.get("hub_id")]
    return [spelling.lower() for spelling in given if isinstance(spelling, str)]


def _facts(name: str, state: ModelState) -> ModelFacts:
    if state.facts is None:
        raise ModelNotSupported(f"the model {name!r} is not in the registry", model=name)
    return state.facts


def _check_popularity(popularity: int | None) -> None:
    if popularity is not None and not 0 <= popularity <= MAX_POPULARITY:
        raise InvalidInput(
            f"popularity is {popularity}; it must lie between 0 and {MAX_POPULARITY}", field="popularity"
        )


def _reason(reason: str) -> str:
    if not reason.strip():
        raise InvalidInput("a reason is owed", field="reason")
    return _optional_reason(reason)


def _optional_reason(reason: str) -> str:
    if len(reason.strip()) > MAX_REASON:
        raise InvalidInput(f"the reason is longer than {MAX_REASON} characters", field="reason")
    return reason.strip()
