"""The erasable table of what persons write about top-ups and payouts."""

from marketplace.payments.models import PaymentText
from marketplace.texts.erasable import Texts

TEXTS = Texts(PaymentText, "stream")
