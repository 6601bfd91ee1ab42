"""Every write to a review. Each command appends to the stream `review/<sale id>` or raises and changes nothing."""

from collections.abc import Callable, Sequence

from latentmas.events.commands import execute, execute_together
from latentmas.events.transactions import transact
from latentmas.events.types import Metadata, Recorded
from marketplace.reputation import review_aggregate as aggregate
from marketplace.reputation.review_aggregate import REVIEW, ReviewState
from marketplace.reputation.review_events import ReviewTextsErased
from marketplace.reputation.texts import REVIEW_TEXTS
from marketplace.sales.aggregate import SALE, SaleState
from marketplace.sales.quotes import check_not_own


def write_review(sale: str, *, agent: str, rating: int, text: str, metadata: Metadata) -> list[Recorded]:
    """Review a purchase, as the agent that bought.

    The sale is locked meanwhile, so that a refund comes before or after. Raises NotFound, SaleNotCaptured,
    SaleRefunded, OwnGoods where the seller is of the same login by now, ReviewExists, ReviewIsRemoved or InvalidInput.
    """

    def decide(states: Sequence[ReviewState | SaleState]) -> Sequence[Sequence[object]]:
        review, sold = states
        assert isinstance(review, ReviewState)
        assert isinstance(sold, SaleState)
        written = aggregate.decide_write(review, sold, agent, rating=rating, text=text)
        assert sold.opened is not None
        check_not_own(sold.opened.offer.seller, agent)
        return REVIEW_TEXTS.seal(sale, written), ()

    return execute_together([(REVIEW, sale), (SALE, sale)], decide, metadata=metadata)


def change_review(
    sale: str, *, agent: str, rating: int, text: str, metadata: Metadata, expected: int | None = None
) -> list[Recorded]:
    """Replace a review, once, as the agent that wrote it.

    Raises NotFound, NotYourReview, ReviewIsRemoved, ReviewIsFinal, InvalidInput or VersionConflict.
    """
    return _change(
        sale,
        lambda state: aggregate.decide_change(state, agent, rating=rating, text=text),
        metadata=metadata,
        expected=expected,
    )


def answer_review(
    sale: str, *, agent: str, text: str, metadata: Metadata, expected: int | None = None
) -> list[Recorded]:
    """Answer a review, once, as the agent that sold.

    Raises NotFound, NotYourReview, ReviewIsRemoved, ReviewIsFinal, InvalidInput or VersionConflict.
    """
    return _change(
        sale, lambda state: aggregate.decide_answer(state, agent, text=text), metadata=metadata, expected=expected
    )


def remove_review(sale: str, *, reason: str, metadata: Metadata, expected: int | None = None) -> list[Recorded]:
    """Take a review away, as a curator. Raises NotFound, ReviewIsRemoved, InvalidInput or VersionConflict."""
    return _change(
        sale, lambda state: aggregate.decide_remove(state, reason=reason), metadata=metadata, expected=expected
    )


def erase_review_texts(sale: str, *, metadata: Metadata) -> list[Recorded]:
    """Erase all that was written in and about a review, for good; its rating stays. Raises NotFound."""

    def work() -> list[Recorded]:
        gone = REVIEW_TEXTS.erase(sale)

        def decide(state: ReviewState) -> Sequence[object]:
            aggregate.require_written(state)
            return (ReviewTextsErased(tuple(gone)),) if gone else ()

        return execute(REVIEW, sale, decide, metadata=metadata)

    return transact(work)


def _change(
    sale: str,
    decide: Callable[[ReviewState], Sequence[object]],
    *,
    metadata: Metadata,
    expected: int | None,
) -> list[Recorded]:
    return execute(
        REVIEW,
        sale,
        lambda state: REVIEW_TEXTS.seal(sale, decide(state)),
        metadata=metadata,
        expected=expected,
    )
