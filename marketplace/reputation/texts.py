"""The erasable tables of what persons write about reviews, and about the bonus fund."""

from marketplace.reputation.models import BonusText, ReviewText
from marketplace.texts.erasable import Texts

REVIEW_TEXTS = Texts(ReviewText, "sale")
BONUS_TEXTS = Texts(BonusText, "currency")
