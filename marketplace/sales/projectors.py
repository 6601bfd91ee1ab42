"""Project the events of sales onto sales, entitlements and what tokens have spent; the only writer of those tables."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from latentmas.events.projections import projector
from latentmas.events.rows import add, locked, upsert
from latentmas.events.types import Envelope
from marketplace.sales.aggregate import SALE, Status
from marketplace.sales.events import SaleCaptured, SaleOpened, SaleRefunded, SaleVoided
from marketplace.sales.models import Entitlement, MandateSpending, Sale

STREAM_PREFIX = SALE.stream("")


@projector(writes=[Sale, Entitlement], handles=[SaleOpened, SaleCaptured, SaleVoided, SaleRefunded])
def project_sales(events: Sequence[Envelope]) -> None:
    """Lock and read the rows of the events' sales, apply the events in order, write the rows."""
    new = {_sale_of(event) for event in events if isinstance(event.data, SaleOpened)}
    rows = locked(Sale, {_sale_of(event) for event in events} - new)
    for event in events:
        _apply(event, rows)
    upsert(Sale, rows.values())
    Entitlement.objects.bulk_create(
        _granted(rows[_sale_of(event)], event) for event in events if isinstance(event.data, SaleCaptured)
    )
    for event in events:
        row = rows[_sale_of(event)]
        if isinstance(event.data, SaleRefunded) and row.refunded == row.price:
            Entitlement.objects.filter(sale=row.id, ended_at=None).update(ended_at=event.recorded_at)


@projector(writes=[MandateSpending], handles=[SaleOpened, SaleCaptured, SaleVoided])
def project_spending(events: Sequence[Envelope]) -> None:
    """Add what was reserved, and take away what was given back. Sums do not depend on the order of streams."""
    changes = Counter[str]()
    for event in events:
        if isinstance(event.data, SaleOpened):
            spending, sign = event.data.spending, 1
        else:
            spending, sign = event.data.released, -1
        if spending is not None:
            changes[f"{spending.token}/{spending.day}"] += sign * spending.amount
    rows = [MandateSpending(id=each, amount=amount) for each, amount in changes.items()]
    add(MandateSpending, rows, counters=["amount"])


def _apply(event: Envelope, rows: dict[str, Sale]) -> None:
    identifier = _sale_of(event)
    if isinstance(event.data, SaleOpened):
        rows[identifier] = _opened(identifier, event)
    row = rows[identifier]
    row.stream_version, row.updated_at = event.version, event.recorded_at
    match event.data:
        case SaleCaptured() as captured:
            row.status, row.price, row.captured_at = Status.CAPTURED, captured.price, event.recorded_at
            row.shares = msgspec.to_builtins(captured.shares)
            row.file_digest, row.file_size = captured.file.digest, captured.file.size
            row.file_name, row.tokens, row.report_digest = captured.file.name, captured.tokens, captured.report
        case SaleVoided() as voided:
            row.status, row.void_reason, row.void_code = Status.VOIDED, voided.reason.value, voided.code
        case SaleRefunded(amount=amount):
            row.refunded += amount
            if row.refunded == row.price:
                row.status = Status.REFUNDED


def _opened(identifier: str, event: Envelope) -> Sale:
    opened: SaleOpened = event.data
    offer = opened.offer
    return Sale(
        id=identifier,
        buyer=opened.buyer,
        seller=offer.seller,
        kind=offer.kind.value,
        item=offer.item,
        version=offer.version,
        status=Status.OPEN,
        held=opened.price,
        currency=offer.price.currency,
        delivery=msgspec.to_builtins(opened.delivery),
        configuration=opened.configuration,
        opened_at=event.recorded_at,
        held_until=opened.held_until,
    )


def _granted(row: Sale, event: Envelope) -> Entitlement:
    return Entitlement(
        sale=row.id,
        agent=row.buyer,
        kind=row.kind,
        item=row.item,
        version=row.version,
        major=row.version.partition(".")[0],
        granted_at=event.recorded_at,
    )


def _sale_of(event: Envelope) -> str:
    return event.stream.removeprefix(STREAM_PREFIX)
