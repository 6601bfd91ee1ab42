"""Grant the bonuses of a month, and take back what later refunds have made too much.

Both may be run as often as one likes: a bonus has a stream of its own, which is granted once, and a second run takes
back only what a refund since has added.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from latentmas.events.commands import execute
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput
from marketplace.ledger import balances
from marketplace.ledger.accounts import bonuses, wallet
from marketplace.reputation.bonus_aggregate import (
    BONUS,
    BonusState,
    amount_of,
    bonus_id,
    decide_grant,
    decide_take_back,
)
from marketplace.reputation.bonus_bases import Bases, bases_due, bases_of
from marketplace.reputation.bonus_events import BonusGranted
from marketplace.reputation.bonus_fund import require_held
from marketplace.reputation.configurations import INCENTIVES
from marketplace.reputation.errors import BonusFundTooSmall
from marketplace.reputation.incentives import BonusKind, percent_of
from marketplace.reputation.models import Bonus
from marketplace.reputation.periods import Period, period_of

KEPT_MONTHS = 12  # refunds of sales of so many months are looked for


@dataclass(slots=True)
class Outcome:
    """The bonuses that were granted, those that the fund does not cover, and those that were cut, by their ids."""

    granted: list[str] = field(default_factory=list)
    unpaid: list[str] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)


def grant_bonuses(period: Period, *, at: datetime, metadata: Metadata) -> Outcome:
    """Take back what is too much, then grant what the configuration in force gives for a month that has ended.

    A bonus that the fund does not cover is granted by a later run, when it does. Raises InvalidInput.
    """
    if period.ends > at:
        raise InvalidInput(f"the month {period.name} has not ended", field="period")
    outcome = Outcome(taken_back=_take_back(metadata=metadata))
    known = set(Bonus.objects.filter(period=period.name).values_list("id", flat=True))
    for granted in _earned(period):
        name = bonus_id(granted)
        if name in known:
            continue
        try:
            _grant(granted, metadata=metadata)
        except BonusFundTooSmall:
            outcome.unpaid.append(name)
        else:
            outcome.granted.append(name)
    return outcome


def _earned(period: Period) -> list[BonusGranted]:
    """Return the bonuses of a month as they would be granted now, in an order that does not change."""
    now = INCENTIVES.in_force()
    earned = []
    for kind in BonusKind:
        percent = percent_of(kind, now.configuration)
        due = bases_due(kind, period, now.configuration) if percent else {}
        for (agent, currency), basis in sorted(due.items()):
            if amount := amount_of(basis, percent):
                earned.append(
                    BonusGranted(
                        agent=agent,
                        period=period.name,
                        kind=kind,
                        currency=currency,
                        basis=basis,
                        percent=percent,
                        amount=amount,
                        configuration=now.version,
                    )
                )
    return earned


def _grant(granted: BonusGranted, *, metadata: Metadata) -> None:
    """Pay a bonus from the fund. Raises BonusFundTooSmall."""

    def decide(state: BonusState) -> Sequence[object]:
        decided = decide_grant(state, granted)
        if decided:
            require_held(bonuses(granted.currency), granted.amount)
        return decided

    execute(BONUS, bonus_id(granted), decide, metadata=metadata)


def _take_back(*, metadata: Metadata) -> list[str]:
    """Cut the bonuses whose sales were refunded since; a wallet may go below zero by it, as by a refund."""
    newest = list(Bonus.objects.order_by("-period").values_list("period", flat=True).distinct()[:KEPT_MONTHS])

    @cache
    def bases(kind: BonusKind, period: str, first_purchases: int) -> Bases:
        return bases_of(kind, period_of(period), first_purchases=first_purchases)

    @cache
    def first_purchases(version: int) -> int:
        return INCENTIVES.of_version(version).first_purchases

    cut = []
    for row in Bonus.objects.filter(period__in=newest).order_by("id"):
        left = bases(BonusKind(row.kind), row.period, first_purchases(row.configuration))
        basis = left.get((row.agent, row.currency), 0)
        if amount_of(basis, row.percent) < row.amount - row.taken_back:
            _cut(row, basis=basis, metadata=metadata)
            cut.append(row.id)
    return cut


def _cut(row: Bonus, *, basis: int, metadata: Metadata) -> None:
    def decide(state: BonusState) -> Sequence[object]:
        balances.lock([wallet(row.agent, row.currency)])  # so that nobody spends at this moment what is taken back
        return decide_take_back(state, basis=basis)

    execute(BONUS, row.id, decide, metadata=metadata)
