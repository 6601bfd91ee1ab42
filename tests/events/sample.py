"""A tiny domain for the event store's suite: accounts that count, and one table that shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db import models

from latentmas.events.commands import Aggregate
from latentmas.events.projections import projector
from latentmas.events.types import Envelope, Metadata, Recorded, event

BY = Metadata(actor="test:sample", request_id="r-1")


@dataclass(frozen=True, slots=True)
class Opened:
    name: str
    rate: float = 0.5


@dataclass(frozen=True, slots=True)
class Counted:
    amount: int


@dataclass(frozen=True, slots=True)
class Noted:
    """An event that nobody projects."""

    text: str


class Tally(models.Model):
    """The projection. It has every kind of thing a rebuild must copy: an index, a unique key, JSON and a decimal."""

    stream = models.CharField(max_length=200, primary_key=True)
    name = models.CharField(max_length=100, db_index=True)
    total = models.BigIntegerField()
    facts = models.JSONField()
    rate = models.FloatField()

    class Meta:
        app_label = "sample"
        constraints = [models.CheckConstraint(condition=models.Q(total__gte=0), name="tally_not_negative")]


@dataclass(frozen=True, slots=True)
class State:
    opened: bool = False
    total: int = 0


def evolve(state: State, recorded: Recorded) -> State:
    match recorded.data:
        case Opened():
            return replace(state, opened=True)
        case Counted(amount=amount):
            return replace(state, total=state.total + amount)
    return state


ACCOUNT = Aggregate("account", State(), evolve)


def count(state: State) -> Sequence[object]:
    """Decide: open an account that is not open, and count one."""
    return [Counted(1)] if state.opened else [Opened("new"), Counted(1)]


def project_tally(events: Sequence[Envelope]) -> None:
    for each in events:
        match each.data:
            case Opened(name=name, rate=rate):
                Tally.objects.create(
                    stream=each.stream, name=name, total=0, facts={"by": each.metadata.actor, "b": [1]}, rate=rate
                )
            case Counted(amount=amount):
                Tally.objects.filter(stream=each.stream).update(total=models.F("total") + amount)


def register() -> None:
    event("sample.opened")(Opened)
    event("sample.counted")(Counted)
    event("sample.noted")(Noted)
    projector(writes=[Tally], handles=[Opened, Counted])(project_tally)
