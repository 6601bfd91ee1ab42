"""The domain of the event store's benchmark: balances, deposits and one small table."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import models

from latentmas.events.commands import Aggregate
from latentmas.events.projections import projector
from latentmas.events.types import Envelope, Metadata, Recorded, event

BY = Metadata(actor="benchmark:event_store", request_id="0")


@event("benchmark.deposited")
@dataclass(frozen=True, slots=True)
class Deposited:
    amount: int
    number: int


class Balance(models.Model):
    """One row per stream, written by the projector."""

    stream = models.CharField(max_length=200, primary_key=True)
    amount = models.BigIntegerField()

    class Meta:
        app_label = "benchmark"


BALANCE: Aggregate[int] = Aggregate("balance", 0, lambda state, recorded: state + _amount(recorded))


def _amount(recorded: Recorded) -> int:
    return int(recorded.data.amount)


def deposit(state: int) -> Sequence[object]:
    return [Deposited(amount=1, number=state + 1)]


@projector(writes=[Balance], handles=[Deposited])
def project_balance(events: Sequence[Envelope]) -> None:
    for each in events:
        amount = each.data.amount
        changed = Balance.objects.filter(stream=each.stream).update(amount=models.F("amount") + amount)
        if not changed:
            Balance.objects.create(stream=each.stream, amount=amount)
