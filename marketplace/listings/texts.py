"""The erasable table of what persons write about a listing."""

from marketplace.listings.models import ListingText
from marketplace.texts.erasable import Texts

TEXTS = Texts(ListingText, "listing_id")
seal, read_of = TEXTS.seal, TEXTS.read_of
