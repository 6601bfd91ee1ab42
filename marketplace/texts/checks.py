"""Checks on what persons write, before it becomes part of an event; InvalidInput names the field at fault."""

import re

from latentmas.protocol.errors import InvalidInput
from marketplace.texts.free_text import FreeText

TITLE_CHARACTERS = 200
DESCRIPTION_CHARACTERS = 4000
REASON_CHARACTERS = 500
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")  # tab and line feed are none


def check_reason(reason: str, field: str = "reason") -> FreeText:
    """Return what a person gives as a reason, without white space at its ends."""
    check_text(reason, field, REASON_CHARACTERS)
    return FreeText(reason.strip())


def check_text(text: str, field: str, characters: int) -> None:
    """Refuse an empty text, and what `check_length` refuses."""
    if not text.strip():
        raise InvalidInput(f"the {field} is empty", field=field)
    check_length(text, field, characters)


def check_length(text: str, field: str, characters: int) -> None:
    """Refuse a text of too many characters, or with control characters."""
    if len(text) > characters:
        raise InvalidInput(f"the {field} has {len(text)} characters; the limit is {characters}", field=field)
    if CONTROL.search(text):
        raise InvalidInput(f"the {field} holds control characters", field=field)
