"""Which texts a buyer may name. Whether each has enough tokens of the target, only the measurement can say."""

from collections.abc import Sequence

from latentmas.protocol.errors import InvalidInput
from marketplace.texts.checks import check_length

LEAST_TEXTS, MOST_TEXTS = 8, 24
MAX_CHARACTERS = 24_000  # of one; all of them must fit a JSON body
CONTINUATION = 64  # tokens that are scored after the context
CHARACTERS_PER_TOKEN = 4  # about as many as one token of English has


def least_characters(length: int) -> int:
    """Return how many characters a text must have for a context of `length` tokens and what is scored after it."""
    return CHARACTERS_PER_TOKEN * (length + CONTINUATION)


def check_texts(texts: Sequence[str], *, length: int) -> None:
    """Let eight to 24 different texts pass, each long enough for a context of `length` tokens. Raises InvalidInput."""
    if not LEAST_TEXTS <= len(texts) <= MOST_TEXTS:
        raise InvalidInput(f"{len(texts)} texts are named; name {LEAST_TEXTS} to {MOST_TEXTS}", field="texts")
    least = least_characters(length)
    for number, text in enumerate(texts):
        field = f"texts.{number}"
        check_length(text, field, MAX_CHARACTERS)
        if len(text.strip()) < least:
            raise InvalidInput(
                f"the text has {len(text.strip())} characters; for a context of {length} tokens it must have {least}",
                field=field,
                expected=least,
            )
    if len({text.strip() for text in texts}) < len(texts):
        raise InvalidInput("two of the texts are the same", field="texts")
