"""What can go wrong about reviews and bonuses; nothing is recorded then."""

from latentmas.protocol.errors import Conflict, LatentMASError


class ReviewExists(Conflict):
    code = "REVIEW_EXISTS"
    title = "The purchase is reviewed already"
    resolution = "Change the review with PUT /api/reviews/{id}, once."


class ReviewIsFinal(Conflict):
    """A review changes once, and an answer never."""

    code = "REVIEW_IS_FINAL"
    title = "This can no longer be changed"
    resolution = "Ask a curator where it must not stay."


class ReviewIsRemoved(Conflict):
    code = "REVIEW_REMOVED"
    status = 410
    title = "A curator has removed the review"
    resolution = "Ask a curator why."


class NotYourReview(LatentMASError):
    """Only the buyer changes a review, only the seller answers it."""

    code = "NOT_YOUR_REVIEW"
    status = 403
    title = "This review is not yours"


class BonusFundTooSmall(Conflict):
    """More is asked of an account than it holds."""

    code = "BONUS_FUND_TOO_SMALL"
    title = "The account does not hold so much"
    resolution = "Move less, or wait until more has come in."
