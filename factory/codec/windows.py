"""Windows of text for codec profiles: a context that fills a cache, and a continuation to measure its fidelity on."""

from collections.abc import Sequence
from dataclasses import dataclass

from factory.corpora import Document
from factory.runners.model import RunningModel
from latentmas.protocol.errors import InvalidInput

CONTEXT_TOKENS = 768
CONTINUATION_TOKENS = 128
JOINT = "\n\n"  # between documents that are too short for a window of their own


@dataclass(frozen=True, slots=True)
class Window:
    document: str  # first 16 hex digits of the document's SHA-256, of the first one where several were joined
    context: tuple[int, ...]
    continuation: tuple[int, ...]


def read_windows(
    documents: Sequence[Document], model: RunningModel, *, wanted: int, context: int = CONTEXT_TOKENS
) -> list[Window]:
    """Return windows spread over the documents: the first of each, then the second, and so on, as far as they reach.

    Documents shorter than a window are joined. Raises InvalidInput where there is not one window.
    """
    length = context + CONTINUATION_TOKENS
    texts = _joined([(each.digest[:16], model.encode(each.text).ids) for each in documents], length, model)
    deepest = max((len(ids) // length for _, ids in texts), default=0)
    found = [
        Window(name, ids[start : start + context], ids[start + context : start + length])
        for start in range(0, deepest * length, length)
        for name, ids in texts
        if len(ids) >= start + length
    ]
    if not found:
        raise InvalidInput(
            f"the corpus has no {length} tokens to read", resolution="Use a larger corpus.", field="corpus"
        )
    return found[:wanted]


def documents_of(windows: Sequence[Window]) -> int:
    """Return the number of distinct documents, joined ones counting as one, that the windows come from."""
    return len({window.document for window in windows})


def _joined(
    texts: list[tuple[str, tuple[int, ...]]], length: int, model: RunningModel
) -> list[tuple[str, tuple[int, ...]]]:
    """Return the texts, those shorter than a window joined until they are long enough."""
    separator = model.encode(JOINT).ids
    whole = [text for text in texts if len(text[1]) >= length]
    name = ""
    held: tuple[int, ...] = ()
    for short, ids in (text for text in texts if len(text[1]) < length):
        name, held = name or short, (*held, *ids, *separator)
        if len(held) >= length:
            whole.append((name, held))
            name, held = "", ()
    return whole
