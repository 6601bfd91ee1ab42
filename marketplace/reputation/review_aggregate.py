"""The review aggregate: the state of a stream `review/<sale id>`, and the events that each command appends. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from latentmas.events.commands import Aggregate
from latentmas.events.types import Recorded
from latentmas.protocol.errors import InvalidInput, NotFound
from marketplace.reputation.credit import BEST, WORST
from marketplace.reputation.errors import NotYourReview, ReviewExists, ReviewIsFinal, ReviewIsRemoved
from marketplace.reputation.review_events import ReviewAnswered, ReviewChanged, ReviewRemoved, ReviewWritten
from marketplace.sales.aggregate import SaleState, Status
from marketplace.sales.errors import SaleNotCaptured, SaleRefunded
from marketplace.texts.checks import check_reason, check_text
from marketplace.texts.free_text import FreeText

TEXT_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class ReviewState:
    written: ReviewWritten | None = None
    rating: int = 0
    changed: bool = False
    answered: bool = False
    removed: bool = False


def evolve(state: ReviewState, recorded: Recorded) -> ReviewState:
    match recorded.data:
        case ReviewWritten() as written:
            return replace(state, written=written, rating=written.rating)
        case ReviewChanged(rating=rating):
            return replace(state, changed=True, rating=rating)
        case ReviewAnswered():
            return replace(state, answered=True)
        case ReviewRemoved():
            return replace(state, removed=True)
    return state


REVIEW = Aggregate("review", ReviewState(), evolve)


def decide_write(state: ReviewState, sale: SaleState, agent: str, *, rating: int, text: str) -> Sequence[object]:
    """Review a purchase, as its buyer.

    Raises NotFound, SaleNotCaptured, SaleRefunded, ReviewExists, ReviewIsRemoved or InvalidInput.
    """
    if sale.opened is None or sale.opened.buyer != agent:
        raise NotFound("you have no such purchase", resolution="GET /api/purchases names yours.")
    if sale.captured is None:
        raise SaleNotCaptured(f"the purchase is {sale.status}; there is nothing to review")
    if sale.status is Status.REFUNDED:
        raise SaleRefunded("the purchase was wholly refunded; what was given back is not reviewed", resolution="")
    if state.removed:
        raise ReviewIsRemoved("a curator has removed the review of this purchase")
    if state.written is not None:
        raise ReviewExists("a purchase has one review, and this one has it")
    offer = sale.opened.offer
    _check_rating(rating)
    return (ReviewWritten(agent, offer.seller, offer.kind, offer.item, offer.version, rating, _text(text, "text")),)


def decide_change(state: ReviewState, agent: str, *, rating: int, text: str) -> Sequence[object]:
    """Replace rating and text, once, as the reviewer. Raises NotFound, NotYourReview, ReviewIsFinal or InvalidInput."""
    if require_shown(state).reviewer != agent:
        raise NotYourReview("only the agent that wrote a review changes it")
    if state.changed:
        raise ReviewIsFinal("the review was changed before, and may be changed once")
    _check_rating(rating)
    return (ReviewChanged(rating, _text(text, "text")),)


def decide_answer(state: ReviewState, agent: str, *, text: str) -> Sequence[object]:
    """Answer a review, once, as the seller. Raises NotFound, NotYourReview, ReviewIsFinal or InvalidInput."""
    if require_shown(state).seller != agent:
        raise NotYourReview("only the agent that sold answers a review")
    if state.answered:
        raise ReviewIsFinal("the review was answered before, and may be answered once")
    return (ReviewAnswered(_text(text, "text")),)


def decide_remove(state: ReviewState, *, reason: str) -> Sequence[object]:
    """Take a review away, as a curator. Raises NotFound, ReviewIsRemoved or InvalidInput."""
    require_shown(state)
    return (ReviewRemoved(check_reason(reason)),)


def require_shown(state: ReviewState) -> ReviewWritten:
    """Return what was written of a review that stands. Raises NotFound or ReviewIsRemoved."""
    written = require_written(state)
    if state.removed:
        raise ReviewIsRemoved("a curator has removed this review")
    return written


def require_written(state: ReviewState) -> ReviewWritten:
    """Return what was written of a review, removed or not. Raises NotFound."""
    if state.written is None:
        raise NotFound("there is no such review", resolution="GET /api/reviews lists them.")
    return state.written


def _check_rating(rating: int) -> None:
    if not WORST <= rating <= BEST:
        raise InvalidInput(f"the rating is {rating}; it must be {WORST} to {BEST}", field="rating")


def _text(text: str, field: str) -> FreeText:
    check_text(text, field, TEXT_CHARACTERS)
    return FreeText(text.strip())
