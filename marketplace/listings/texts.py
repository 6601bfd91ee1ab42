"""The erasable table of what persons write about a listing.

A row is never changed, only deleted, and deleting is an event: a projector that reads these rows therefore makes the
same of the same events.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from latentmas.protocol.commitments import commitment, new_salt
from marketplace.listings.free_text import FreeText, texts_in
from marketplace.listings.models import ListingText

ERASED = "(erased)"


def seal(listing_id: str, events: Iterable[Any]) -> list[Any]:
    """Keep the plain texts of events that are about to be recorded; return the events as they only commit to them."""
    return [
        replace(event, **{name: _kept(listing_id, text.plain) for name, text in texts_in(event).items() if text.plain})
        for event in events
    ]


def read(texts: Iterable[FreeText]) -> dict[FreeText, str]:
    """Return each text, ERASED where its row is gone; one query."""
    wanted = set(texts)
    rows = ListingText.objects.filter(commitment__in={each.commitment for each in wanted if each.commitment})
    kept = dict(rows.values_list("commitment", "text"))
    return {each: each.plain if each.plain is not None else kept.get(each.commitment or "", ERASED) for each in wanted}


def read_of(events: Sequence[object]) -> dict[FreeText, str]:
    """Return the texts of events."""
    found = [text for event in events for text in texts_in(event).values()]
    return read(found) if found else {}


def _kept(listing_id: str, text: str) -> FreeText:
    salt = new_salt()
    row = ListingText.objects.create(
        commitment=commitment(text, salt=salt), listing_id=listing_id, text=text, salt=salt
    )
    return FreeText(commitment=row.commitment)
