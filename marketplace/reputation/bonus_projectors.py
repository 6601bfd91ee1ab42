"""Project bonuses and what fills their fund; the only writer of those tables."""

from collections.abc import Sequence

from latentmas.events.projections import projector
from latentmas.events.rows import locked, upsert
from latentmas.events.types import Envelope
from marketplace.reputation.bonus_aggregate import BONUS
from marketplace.reputation.bonus_events import BonusFundFilled, BonusGranted, BonusTakenBack
from marketplace.reputation.models import Bonus, BonusFilling
from marketplace.reputation.texts import BONUS_TEXTS
from marketplace.texts.erasable import show

PREFIX = BONUS.stream("")


@projector(writes=[Bonus], handles=[BonusGranted, BonusTakenBack])
def project_bonuses(events: Sequence[Envelope]) -> None:
    """Lock and read the rows of the events' bonuses, apply the events in order, write the rows."""
    rows = locked(Bonus, {event.stream.removeprefix(PREFIX) for event in events})
    for event in events:
        identifier = event.stream.removeprefix(PREFIX)
        match event.data:
            case BonusGranted() as granted:
                rows[identifier] = _granted(identifier, event, granted)
            case BonusTakenBack(basis=basis, amount=amount):
                rows[identifier].basis = basis
                rows[identifier].taken_back += amount
    upsert(Bonus, rows.values())


@projector(writes=[BonusFilling], handles=[BonusFundFilled])
def project_fillings(events: Sequence[Envelope]) -> None:
    """Insert a row for each filling."""
    texts = BONUS_TEXTS.read_of([event.data for event in events])
    rows = []
    for event in events:
        row = BonusFilling(
            id=str(event.event_id),
            currency=event.data.currency,
            amount=event.data.amount,
            actor=event.metadata.actor,
            at=event.recorded_at,
        )
        show(row, texts, reason=event.data.reason)
        rows.append(row)
    BonusFilling.objects.bulk_create(rows)


def _granted(identifier: str, event: Envelope, granted: BonusGranted) -> Bonus:
    return Bonus(
        id=identifier,
        agent=granted.agent,
        period=granted.period,
        kind=granted.kind.value,
        currency=granted.currency,
        basis=granted.basis,
        percent=granted.percent,
        amount=granted.amount,
        configuration=granted.configuration,
        granted_at=event.recorded_at,
    )
