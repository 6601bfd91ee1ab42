"""Every write to a sale. Each command appends to the stream `sale/<quote id>` or raises and changes nothing.

What is spent is decided under locks: of the sale's stream, of the buyer's wallet, and of the token's budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from latentmas import blobs
from latentmas.events.commands import execute, load
from latentmas.events.transactions import transact
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.canonical import canonical, plain
from latentmas.protocol.commitments import commitment
from marketplace.accounts.mandates import Mandate, Purchase, check_mandate
from marketplace.ledger import balances
from marketplace.ledger.accounts import wallet
from marketplace.ledger.errors import WrongCurrency
from marketplace.ledger.posting import check_covered
from marketplace.pricing.commands import of_version
from marketplace.sales import aggregate
from marketplace.sales.aggregate import SALE, SaleState
from marketplace.sales.distribution import shares_of
from marketplace.sales.errors import AlreadyEntitled, SaleInProgress
from marketplace.sales.events import RefundReason, SaleCaptured, SaleOpened, SoldFile, Spending, VoidReason
from marketplace.sales.goods import MARKETS, Market, Offer, Prepared
from marketplace.sales.models import MandateSpending
from marketplace.sales.queries import covers, under_way
from marketplace.sales.quotes import Quote, breakdown_of


@dataclass(frozen=True, slots=True)
class Spender:
    """A token that buys within its mandate."""

    token: str
    mandate: Mandate


@dataclass(frozen=True, slots=True)
class Buyer:
    """The agent that buys, and the token by which it does; None: without a mandate."""

    agent: str
    spender: Spender | None = None


def open_sale(quote: Quote, buyer: Buyer, *, at: datetime, metadata: Metadata) -> list[Recorded]:
    """Hold the price of a quote; nothing where the quote was used before.

    Raises InsufficientFunds, WrongCurrency, AlreadyEntitled, SaleInProgress, or what the token's mandate refuses.
    """
    opened = _opened(quote, buyer, at=at)

    def decide(state: SaleState) -> Sequence[object]:
        if state.opened is not None:
            return ()
        _check_spending(opened, buyer, at=at)
        return aggregate.decide_hold(quote.id, opened)

    return execute(SALE, quote.id, decide, metadata=metadata)


def check_purchase(quote: Quote, buyer: Buyer, *, at: datetime) -> None:
    """Let a purchase pass that `open_sale` would make if the wallet covered it; nothing is recorded.

    Raises AlreadyEntitled, SaleInProgress, or what the token's mandate refuses.
    """
    opened = _opened(quote, buyer, at=at)
    transact(lambda: _check_allowed(opened, buyer, at=at))


def sell_at_once(quote: Quote, buyer: Buyer, prepared: Prepared, *, at: datetime, metadata: Metadata) -> list[Recorded]:
    """Open and capture a sale in one transaction, where nothing is to be prepared. Raises what `open_sale` does."""
    opened = _opened(quote, buyer, at=at)
    captured = _captured(opened, prepared)

    def decide(state: SaleState) -> Sequence[object]:
        if state.opened is not None:
            return ()
        _check_spending(opened, buyer, at=at)
        return (opened, *aggregate.decide_capture(quote.id, replace(state, opened=opened), captured))

    return execute(SALE, quote.id, decide, metadata=metadata)


def capture_sale(sale: str, prepared: Prepared, *, metadata: Metadata) -> list[Recorded]:
    """Settle an open sale by what was prepared, and grant it to its buyer. Raises SaleVoidedMeanwhile."""
    state, _ = load(SALE, sale)
    assert state.opened is not None
    captured = _captured(state.opened, prepared)
    return execute(SALE, sale, lambda state: aggregate.decide_capture(sale, state, captured), metadata=metadata)


def void_sale(sale: str, *, reason: VoidReason, code: str | None = None, metadata: Metadata) -> list[Recorded]:
    """Give back what an open sale holds; nothing where it has come to its end. Raises NotFound."""
    return execute(
        SALE, sale, lambda state: aggregate.decide_void(sale, state, reason=reason, code=code), metadata=metadata
    )


def refund_sale(
    sale: str,
    *,
    amount: int | None,
    reason: RefundReason,
    by_curator: bool,
    metadata: Metadata,
    expected: int | None = None,
) -> list[Recorded]:
    """Give the buyer an amount back, None for all that is left. A seller's wallet may go below zero by it.

    Raises NotFound, SaleNotCaptured, InvalidInput, RefundTooLarge or VersionConflict.
    """

    def decide(state: SaleState) -> Sequence[object]:
        decided = aggregate.decide_refund(sale, state, amount=amount, reason=reason, by_curator=by_curator)
        balances.lock(list(state.left))  # so that nobody spends at this moment what is taken back
        return decided

    return execute(SALE, sale, decide, metadata=metadata, expected=expected)


def settled_price(offer: Offer, *, held: int, tokens: int | None, configuration: int) -> int:
    """Return the price of what was really delivered, by the quote's own configuration; never more than is held."""
    if tokens is None or offer.factors is None or tokens >= offer.factors.tokens:
        return held
    breakdown = breakdown_of(offer, of_version(configuration), tokens=tokens)
    assert breakdown is not None
    return min(held, breakdown.price)


def _opened(quote: Quote, buyer: Buyer, *, at: datetime) -> SaleOpened:
    delivery = quote.delivery
    if delivery.query is not None:
        delivery = replace(delivery, query=commitment(delivery.query, salt=quote.salt))
    spender = buyer.spender
    return SaleOpened(
        buyer=buyer.agent,
        offer=quote.offer,
        delivery=delivery,
        price=quote.price,
        configuration=quote.configuration,
        held_until=at + timedelta(seconds=of_version(quote.configuration).hold_seconds),
        spending=None if spender is None else Spending(spender.token, _day(at), quote.price),
    )


def _captured(opened: SaleOpened, prepared: Prepared) -> SaleCaptured:
    offer = opened.offer
    price = settled_price(offer, held=opened.price, tokens=prepared.tokens, configuration=opened.configuration)
    return SaleCaptured(
        price=price,
        file=SoldFile(prepared.digest, prepared.size, prepared.name),
        tokens=prepared.tokens,
        helper=prepared.helper,
        shares=shares_of(price, offer, of_version(opened.configuration), helper=prepared.helper),
        report=blobs.put_bytes(canonical(plain(dict(prepared.report)))) if prepared.report else None,
        released=aggregate.released(opened.spending, price),
    )


def _check_spending(opened: SaleOpened, buyer: Buyer, *, at: datetime) -> None:
    """Lock wallet and budget, and let a purchase pass that both cover."""
    held, price, currency = _check_allowed(opened, buyer, at=at), opened.price, opened.offer.price.currency
    if price:
        account = wallet(opened.buyer, currency)
        _check_currency(opened.buyer, currency, held[account], price)
        check_covered(account, price, held)


def _check_allowed(opened: SaleOpened, buyer: Buyer, *, at: datetime) -> dict[str, int]:
    """Lock wallet and budget, let a purchase pass that the budget covers, and return what the wallet holds."""
    offer, price = opened.offer, opened.price
    account = wallet(opened.buyer, offer.price.currency)
    capability = MARKETS[offer.kind] is Market.CAPABILITY
    names = [account] if price or capability else []
    if buyer.spender is not None:
        names.append(f"mandate:{buyer.spender.token}")  # no account, but locked in one order with them
    held = balances.lock(names) if names else {}
    if capability:
        _check_not_bought(opened)
    if buyer.spender is not None:
        spent = MandateSpending.objects.filter(id=f"{buyer.spender.token}/{_day(at)}").values_list("amount", flat=True)
        purchase = Purchase(price, offer.price.currency, offer.seller, offer.tier)
        check_mandate(buyer.spender.mandate, purchase, spent_today=spent.first() or 0, at=at)
    return held


def _check_not_bought(opened: SaleOpened) -> None:
    """Let nobody pay twice for one major version of a capability; the buyer's wallet is locked."""
    offer = opened.offer
    if covers(offer.kind, offer.item, offer.version, [opened.buyer]):
        raise AlreadyEntitled(f"the agent has bought version {offer.version} of this, or another of the same major")
    if under_way(offer.kind, offer.item, offer.version, opened.buyer):
        raise SaleInProgress("another purchase of this by the agent is under way")


def _check_currency(agent: str, currency: str, held: int, price: int) -> None:
    """Say so where the agent's money is in another currency than the price."""
    if held == 0:
        others = [each.currency for each in balances.wallets_of(agent) if each.amount > 0]
        if others:
            raise WrongCurrency(
                f"the price is {price} {currency}; the agent's wallet is in {', '.join(others)}", field="quote"
            )


def _day(at: datetime) -> str:
    return at.date().isoformat()
