"""The erasable tables of what persons write in disputes, and of the texts that buyers name."""

from marketplace.claims.models import AcceptanceText, DisputeText
from marketplace.texts.erasable import Texts

DISPUTE_TEXTS = Texts(DisputeText, "stream")
ACCEPTANCE_TEXTS = Texts(AcceptanceText, "stream")
