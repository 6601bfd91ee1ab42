"""The sale aggregate: the state of a stream `sale/<quote id>`, and the events that each command appends. Pure.

A posting comes before the event that it belongs to, so that the version of the stream is always that of a sale's event.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from latentmas.events.commands import Aggregate
from latentmas.events.types import Envelope
from latentmas.protocol.errors import InvalidInput, NotFound
from latentmas.protocol.money import divide
from marketplace.ledger.accounts import hold, wallet
from marketplace.ledger.events import Posted, Purpose, Transfer
from marketplace.ledger.posting import postings
from marketplace.sales.errors import RefundTooLarge, SaleNotCaptured, SaleVoidedMeanwhile
from marketplace.sales.events import (
    RefundReason,
    SaleCaptured,
    SaleOpened,
    SaleRefunded,
    SaleVoided,
    Spending,
    VoidReason,
)


class Status(StrEnum):
    OPEN = "open"
    CAPTURED = "captured"
    VOIDED = "voided"
    REFUNDED = "refunded"  # wholly


@dataclass(frozen=True, slots=True)
class SaleState:
    """What holds of a sale. `returned` is what refunds have taken back from each account."""

    opened: SaleOpened | None = None
    held: int = 0  # minor units on the sale's own account
    captured: SaleCaptured | None = None
    voided: SaleVoided | None = None
    returned: Mapping[str, int] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        if self.captured is None:
            return Status.OPEN if self.voided is None else Status.VOIDED
        return Status.REFUNDED if self.captured.price and self.refunded == self.captured.price else Status.CAPTURED

    @property
    def refunded(self) -> int:
        return sum(self.returned.values())

    @property
    def left(self) -> dict[str, int]:
        """What each account still has of the price."""
        assert self.captured is not None
        got = Counter[str]()
        for share in self.captured.shares:
            got[share.account] += share.amount
        return {account: amount - self.returned.get(account, 0) for account, amount in got.items()}


def evolve(state: SaleState, event: Envelope) -> SaleState:
    match event.data:
        case SaleOpened() as opened:
            return replace(state, opened=opened)
        case SaleCaptured() as captured:
            return replace(state, captured=captured, held=0)
        case SaleVoided() as voided:
            return replace(state, voided=voided, held=0)
        case Posted(purpose=Purpose.HOLD, transfers=transfers):
            return replace(state, held=sum(each.amount for each in transfers))
        case Posted(purpose=Purpose.REFUND, transfers=transfers):
            returned = Counter(state.returned)
            for each in transfers:
                returned[each.debit] += each.amount
            return replace(state, returned=dict(returned))
    return state


SALE = Aggregate("sale", SaleState(), evolve)


def decide_hold(sale: str, opened: SaleOpened) -> Sequence[object]:
    """Open a sale, and set its price aside. The caller has locked the wallet and checked that it covers the price."""
    currency = opened.offer.price.currency
    held = Transfer(wallet(opened.buyer, currency), hold(sale, currency), opened.price)
    return (*postings(Purpose.HOLD, [held]), opened)


def decide_capture(sale: str, state: SaleState, captured: SaleCaptured) -> Sequence[object]:
    """Divide what is held, or what the wallet holds where a sale is opened and captured at once; a second time nothing.

    Raises SaleVoidedMeanwhile.
    """
    assert state.opened is not None
    if state.voided is not None:
        raise SaleVoidedMeanwhile("the hold of this purchase ran out before its artefact was ready")
    if state.captured is not None:
        return ()
    currency = state.opened.offer.price.currency
    buyers = wallet(state.opened.buyer, currency)
    source = hold(sale, currency) if state.held else buyers
    transfers = [Transfer(source, share.account, share.amount) for share in captured.shares]
    if state.held:
        transfers.append(Transfer(source, buyers, state.held - captured.price))
    return (*postings(Purpose.CAPTURE, transfers), captured)


def decide_void(sale: str, state: SaleState, *, reason: VoidReason, code: str | None = None) -> Sequence[object]:
    """Give back what an open sale holds; nothing where it has come to its end. Raises NotFound."""
    if state.opened is None:
        raise NotFound(f"there is no sale {sale!r}")
    if state.status is not Status.OPEN:
        return ()
    currency = state.opened.offer.price.currency
    back = Transfer(hold(sale, currency), wallet(state.opened.buyer, currency), state.held)
    return (*postings(Purpose.VOID, [back]), SaleVoided(reason, code, state.opened.spending))


def decide_refund(
    sale: str, state: SaleState, *, amount: int | None, reason: RefundReason, by_curator: bool
) -> Sequence[object]:
    """Take an amount, None for all that is left, back from those who have it, in proportion to what each has left.

    Raises NotFound, SaleNotCaptured, InvalidInput or RefundTooLarge.
    """
    if state.opened is None:
        raise NotFound(f"there is no sale {sale!r}")
    if state.captured is None:
        raise SaleNotCaptured(f"the sale is {state.status}; nothing was charged")
    left = state.left
    rest = sum(left.values())
    wanted = rest if amount is None else amount
    if wanted > rest or rest == 0:
        raise RefundTooLarge(
            f"{wanted} minor units are asked for; {rest} of {state.captured.price} are left to refund",
            field="amount",
            left=rest,
            price=state.captured.price,
        )
    if wanted <= 0:
        raise InvalidInput(f"a refund of {wanted} minor units gives nothing back", field="amount")
    buyers = wallet(state.opened.buyer, state.opened.offer.price.currency)
    transfers = [Transfer(account, buyers, part) for account, part in divide(wanted, left).items()]
    return (*postings(Purpose.REFUND, transfers), SaleRefunded(wanted, reason, by_curator))


def released(spending: Spending | None, price: int) -> Spending | None:
    """Return what of a reservation a settled price has left over."""
    if spending is None or spending.amount == price:
        return None
    return replace(spending, amount=spending.amount - price)
