"""Every write to an acceptance. Each command appends to `acceptance/<quote id>` or raises and changes nothing.

The buyer's texts lie in an erasable table from the request to its end, whatever that is, and no longer.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from latentmas.events.commands import execute, execute_together
from latentmas.events.transactions import transact
from latentmas.events.types import Metadata
from marketplace.claims import acceptance_aggregate as aggregate
from marketplace.claims.acceptance_aggregate import ACCEPTANCE, AcceptanceState, AcceptanceStatus, Figures
from marketplace.claims.acceptance_events import AcceptanceRequested, Promise
from marketplace.claims.acceptance_texts import check_texts
from marketplace.claims.errors import AcceptanceNotOffered, AcceptancesWaiting, NothingCharged
from marketplace.claims.models import Acceptance
from marketplace.claims.promises import promise_for, promises_of, require_runnable, require_unknown
from marketplace.claims.texts import ACCEPTANCE_TEXTS
from marketplace.ledger import balances
from marketplace.sales.aggregate import SALE
from marketplace.sales.goods import Kind
from marketplace.sales.quotes import Quote, check_usable

MAX_WAITING = 8  # of one buyer


def promises_with(quote: Quote, *, buyer: str, at: datetime) -> tuple[Promise, ...]:
    """Return what can be put to the test with a quote, by length, the shortest first.

    Raises QuoteNotYours, QuoteExpired, AcceptanceNotOffered, NothingCharged, ModelNotSupported, AcceptanceTooLate where
    the buyer has had the file, or why there is no certificate.
    """
    check_usable(quote, buyer=buyer, at=at)
    if quote.offer.kind is not Kind.W_MATRIX:
        raise AcceptanceNotOffered(f"this quote is for a {quote.offer.kind.value}", field="quote")
    if quote.price == 0:
        raise NothingCharged("it is free of charge, so that there is nothing to give back")
    promises = promises_of(quote.offer.item, quote.offer.version, at=at)
    require_unknown(quote.offer.item, quote.offer.version, buyer=buyer)
    require_runnable(quote.offer.item, quote.offer.version)
    return promises


def request_acceptance(
    quote: Quote, texts: Sequence[str], *, buyer: str, length: int | None = None, at: datetime, metadata: Metadata
) -> None:
    """Name the texts that a W-Matrix is to be measured on once it is bought with this quote.

    `length` is one that its certificate covers, the shortest by default. Raises what `promises_with` does,
    InvalidInput, AcceptanceExists, AcceptanceTooLate or AcceptancesWaiting.
    """
    promise = promise_for(promises_with(quote, buyer=buyer, at=at), length)
    check_texts(texts, length=promise.length)
    stream = ACCEPTANCE.stream(quote.id)

    def decide(states: Sequence[Any]) -> Sequence[Sequence[object]]:
        state, sold = states
        requested = AcceptanceRequested(
            buyer=buyer,
            seller=quote.offer.seller,
            item=quote.offer.item,
            version=quote.offer.version,
            currency=quote.offer.price.currency,
            promise=promise,
            quote_expires_at=quote.expires_at,
            texts=tuple(ACCEPTANCE_TEXTS.keep(stream, each).commitment or "" for each in texts),
        )
        if Acceptance.objects.filter(buyer=buyer, status=AcceptanceStatus.REQUESTED).count() >= MAX_WAITING:
            raise AcceptancesWaiting(f"{MAX_WAITING} acceptances of this agent wait, the limit")
        return [aggregate.decide_request(state, sold, requested), ()]

    execute_together([(ACCEPTANCE, quote.id), (SALE, quote.id)], decide, metadata=metadata)


def record_measurement(acceptance: str, figures: Figures, *, metadata: Metadata) -> None:
    """Record what was measured; where it contradicts the certificate, give the whole price back at once.

    Nothing where the acceptance has ended. Raises NotFound.
    """

    def decide(states: Sequence[Any]) -> Sequence[Sequence[object]]:
        state, sold = states
        measured, refunded = aggregate.decide_measured(acceptance, state, sold, figures)
        if refunded:
            balances.lock(list(sold.left))
        return [measured, refunded]

    def work() -> None:
        execute_together([(ACCEPTANCE, acceptance), (SALE, acceptance)], decide, metadata=metadata)
        ACCEPTANCE_TEXTS.erase(ACCEPTANCE.stream(acceptance))

    transact(work)


def record_not_measured(acceptance: str, *, code: str, metadata: Metadata) -> None:
    """Record why nothing can be measured; nothing where the acceptance has ended. Raises NotFound."""
    _end(acceptance, lambda state: aggregate.decide_not_measured(state, code=code), metadata)


def lapse_acceptance(acceptance: str, *, metadata: Metadata) -> None:
    """Record that nothing is to be measured; nothing where the acceptance has ended. Raises NotFound."""
    _end(acceptance, aggregate.decide_lapse, metadata)


def _end(acceptance: str, decide: Callable[[AcceptanceState], Sequence[object]], metadata: Metadata) -> None:
    def work() -> None:
        execute(ACCEPTANCE, acceptance, decide, metadata=metadata)
        ACCEPTANCE_TEXTS.erase(ACCEPTANCE.stream(acceptance))

    transact(work)
