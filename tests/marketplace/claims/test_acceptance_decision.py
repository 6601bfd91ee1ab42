"""Whether a measurement on the buyer's texts gives the price back: only where it contradicts the certificate."""

from datetime import UTC, datetime

import pytest

from latentmas.protocol.errors import NotFound
from latentmas.protocol.money import Money, Split
from marketplace.claims.acceptance_aggregate import (
    AcceptanceState,
    AcceptanceStatus,
    Figures,
    decide_lapse,
    decide_measured,
    decide_not_measured,
    decide_request,
    is_below,
)
from marketplace.claims.acceptance_events import AcceptanceMeasured, AcceptanceRequested, Kept, Promise
from marketplace.claims.errors import AcceptanceExists, AcceptanceTooLate
from marketplace.ledger.accounts import wallet
from marketplace.sales.aggregate import SaleState
from marketplace.sales.distribution import Recipient, Share
from marketplace.sales.events import RefundReason, SaleCaptured, SaleOpened, SaleRefunded, SoldFile
from marketplace.sales.goods import Delivery, Kind, Offer

AT = datetime(2026, 3, 1, tzinfo=UTC)
PROMISE = Promise("tokens-known", 256, "0.7300")
REQUESTED = AcceptanceRequested("buyer", "seller", "w", "1.0.0", "USD", PROMISE, AT, ("sha256:" + "0" * 64,) * 8)
WAITING = AcceptanceState(REQUESTED, AcceptanceStatus.REQUESTED)
OFFER = Offer(
    Kind.W_MATRIX, "w", "1.0.0", "sha256:" + "1" * 64, "seller", Money(1999, "USD"), Split(80, 15, 5), (), ready=True
)
OPENED = SaleOpened("buyer", OFFER, Delivery(), 1999, 0, AT, None)
SHARES = (Share(Recipient.CREATOR, wallet("seller", "USD"), 1599), Share(Recipient.PLATFORM, "platform:USD", 400))
SOLD = SaleState(
    OPENED,
    captured=SaleCaptured(1999, SoldFile("sha256:" + "1" * 64, 1, "w"), None, None, SHARES, None, None),
)


def figures(high: str, *, low: str = "0.4000", value: str = "0.6000") -> Figures:
    return Figures(Kept(value, low, high), texts=8, scored_tokens=504, instrument="arms/test")


@pytest.mark.parametrize(
    ("high", "below"),
    [("0.7299", True), ("0.7300", False), ("0.7301", False), ("-0.1000", True), ("1.2000", False)],
)
def test_only_an_upper_end_below_the_certificates_lower_end_contradicts_it(high: str, below: bool) -> None:
    assert is_below(Kept("-0.5000", "-0.9000", high), PROMISE) is below


def test_figures_are_compared_as_numbers_not_as_text() -> None:
    assert is_below(Kept("0.9", "0.9", "0.9"), Promise("tokens-known", 256, "0.90")) is False
    assert is_below(Kept("0", "0", "-0"), Promise("tokens-known", 256, "0.0000")) is False


def test_below_it_everything_that_is_left_goes_back() -> None:
    (measured,), (moved, refunded) = decide_measured("s", WAITING, SOLD, figures("0.7299"))
    assert measured == AcceptanceMeasured(figures("0.7299").kept, 8, 504, "arms/test", below=True, refunded=1999)
    assert refunded == SaleRefunded(1999, RefundReason.BELOW_CERTIFICATE, by_curator=True)
    assert {each.credit for each in moved.transfers} == {wallet("buyer", "USD")}  # type: ignore[attr-defined]


def test_a_mean_below_the_promise_is_not_enough() -> None:
    (measured,), refund = decide_measured("s", WAITING, SOLD, figures("0.7300", value="0.5500"))
    assert (measured.below, measured.refunded, list(refund)) == (False, 0, [])  # type: ignore[attr-defined]


def test_what_was_given_back_before_is_not_given_back_again() -> None:
    part = SaleState(OPENED, captured=SOLD.captured, returned={wallet("seller", "USD"): 1599})
    (measured,), (_, refunded) = decide_measured("s", WAITING, part, figures("0.5000"))
    assert (measured.refunded, refunded.amount) == (400, 400)  # type: ignore[attr-defined]
    whole = SaleState(OPENED, captured=SOLD.captured, returned={wallet("seller", "USD"): 1599, "platform:USD": 400})
    (measured,), refund = decide_measured("s", WAITING, whole, figures("0.5000"))
    assert (measured.below, measured.refunded, list(refund)) == (True, 0, [])  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", [AcceptanceStatus.MEASURED, AcceptanceStatus.NOT_MEASURED, AcceptanceStatus.LAPSED])
def test_what_has_ended_stays_as_it_is(status: AcceptanceStatus) -> None:
    ended = AcceptanceState(REQUESTED, status)
    assert decide_measured("s", ended, SOLD, figures("0.1000")) == ((), ())
    assert decide_not_measured(ended, code="MODEL_NOT_SUPPORTED") == ()
    assert decide_lapse(ended) == ()
    with pytest.raises(AcceptanceExists):
        decide_request(ended, SaleState(), REQUESTED)


def test_texts_are_named_before_the_quote_is_used() -> None:
    with pytest.raises(AcceptanceTooLate):
        decide_request(AcceptanceState(), SOLD, REQUESTED)
    assert decide_request(AcceptanceState(), SaleState(), REQUESTED) == (REQUESTED,)


def test_without_texts_there_is_nothing_to_end() -> None:
    for decide in (decide_lapse, lambda state: decide_not_measured(state, code="X")):
        with pytest.raises(NotFound):
            decide(AcceptanceState())
