"""Events of reviews. One stream for each purchase, `review/<sale id>`; what persons write is in none of them."""

from dataclasses import dataclass

from latentmas.events.types import event
from marketplace.sales.goods import Kind
from marketplace.texts.free_text import FreeText


@event("review.written")
@dataclass(frozen=True, slots=True)
class ReviewWritten:
    """A buyer has made public what he thinks of a purchase, and with it that he has bought."""

    reviewer: str  # the agent that bought
    seller: str
    kind: Kind
    item: str
    version: str
    rating: int  # 1 to 5
    text: FreeText


@event("review.changed")
@dataclass(frozen=True, slots=True)
class ReviewChanged:
    """The reviewer has thought again, which he may once."""

    rating: int
    text: FreeText


@event("review.answered")
@dataclass(frozen=True, slots=True)
class ReviewAnswered:
    """The seller has said something to it, once."""

    text: FreeText


@event("review.removed")
@dataclass(frozen=True, slots=True)
class ReviewRemoved:
    """A curator has taken the review away, for good: it is neither shown nor counted."""

    reason: FreeText


@event("review.texts_erased")
@dataclass(frozen=True, slots=True)
class ReviewTextsErased:
    """What these commitments are of is gone, and with it the salts that open them; the rating stays."""

    commitments: tuple[str, ...]
