"""Findings in the texts of a version, in sentences that name kind and place and never the value."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from marketplace.screening.contents import PlacedText
from marketplace.screening.credentials import secrets_in
from marketplace.screening.personal_data import personal_data_in

MOST = 15  # findings in one screening; of more, the number is said


def findings_in(texts: Iterable[PlacedText]) -> tuple[str, ...]:
    """Return what should not be in the texts, one sentence for each kind in each text."""
    found = [sentence for each in texts for sentence in _found(each)]
    if (more := len(found) - MOST) > 0:
        return (*found[:MOST], f"there are {more} further findings of this sort")
    return tuple(found)


def _found(placed: PlacedText) -> Iterator[str]:
    sightings = [*secrets_in(placed.text), *personal_data_in(placed.text)]
    for what, same in groupby(sightings, key=lambda each: each.what):
        places = [each.at for each in same]
        others = f", and {len(places) - 1} more" if len(places) > 1 else ""
        yield f"the {placed.place} seems to hold {what}, {places[0]} characters in{others}"
