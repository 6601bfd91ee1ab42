"""A long-term memory: segments of several sessions, and what is delivered of it, a selection.

The *collection* is a safetensors file that names every segment's own file by its digest, with the segment's text and
its embedding: what a selection is chosen by. A *selection* holds the files of the chosen segments themselves, each a
snapshot of its own context.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from latentmas.protocol import tensors
from latentmas.protocol.embedded import as_tensor, from_tensor
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array, TensorFile

T = TypeVar("T")
COLLECTION = "long-term-memory"
SELECTION = "memory-selection"
VERSION = 1
EMBEDDINGS = "embeddings"
MAX_SEGMENTS = 200
MAX_TEXT_BYTES = 1 << 18  # of all segments together; they stand in the header, which has at most a mebibyte
MAX_BYTES = 64 << 30


@dataclass(frozen=True, slots=True)
class SegmentText:
    """A segment as its collection names it. `text` is what it is found by."""

    segment_id: str
    session: int
    tokens: int
    file: str  # sha256:<hex>
    text: str


@dataclass(frozen=True, slots=True)
class Collection:
    """Segments in the order of appending, and their `embeddings` `[segments, dimension]`, each of length one."""

    model: str
    encoder: str  # registry name of the model that made the embeddings
    encoder_weights: str  # sha256:<hex>
    segments: tuple[SegmentText, ...]
    embeddings: Array

    def __post_init__(self) -> None:
        if not 1 <= len(self.segments) <= MAX_SEGMENTS:
            raise InvalidInput(f"a long-term memory has 1 to {MAX_SEGMENTS} segments", field="segments")
        if (size := sum(len(each.text.encode()) for each in self.segments)) > MAX_TEXT_BYTES:
            raise InvalidInput(
                f"the segments' texts have {size} bytes; the limit is {MAX_TEXT_BYTES}", field="segments"
            )
        if self.embeddings.ndim != 2 or len(self.embeddings) != len(self.segments):
            raise InvalidInput("there must be one embedding a segment", field="segments")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A segment that was chosen; `relevance` is the cosine of its embedding with the query's, None without a query."""

    segment: SegmentText
    relevance: float | None


@dataclass(frozen=True, slots=True)
class Delivered:
    """A segment as it is delivered: its file is a raw snapshot or .kvz file."""

    segment_id: str
    session: int
    tokens: int
    text: str
    relevance: float | None  # None: nothing was asked for
    memory: bytes


def choose(collection: Collection, query: Array, *, token_budget: int) -> list[Chosen]:
    """Return the segments most relevant to a query's embedding that fit a budget together, in the order of appending.

    The most relevant one is taken first; one that no longer fits is passed over. Raises InvalidInput where none fits.
    """
    relevance = collection.embeddings @ query
    left, places = token_budget, list[int]()
    for place in np.argsort(-relevance, kind="stable").tolist():
        if collection.segments[place].tokens <= left:
            left -= collection.segments[place].tokens
            places.append(place)
    if not places:
        least = min(each.tokens for each in collection.segments)
        raise InvalidInput(
            f"no segment fits {token_budget} tokens; the smallest has {least}",
            field="token_budget",
            least=least,
        )
    return [Chosen(collection.segments[place], float(relevance[place])) for place in sorted(places)]


def choose_newest(collection: Collection, *, token_budget: int) -> list[Chosen]:
    """Return the last segments that fit a budget, in the order of appending. Raises InvalidInput where none does."""
    left, chosen = token_budget, list[Chosen]()
    for each in reversed(collection.segments):
        if each.tokens > left:
            break
        left -= each.tokens
        chosen.append(Chosen(each, None))
    if not chosen:
        raise InvalidInput(
            f"the newest segment has {collection.segments[-1].tokens} tokens, more than {token_budget}",
            field="token_budget",
        )
    return chosen[::-1]


def write_collection(collection: Collection) -> bytes:
    """Return the collection's file; the same collection gives the same bytes."""
    document = {
        "kind": COLLECTION,
        "version": VERSION,
        "model": collection.model,
        "encoder": collection.encoder,
        "encoder_weights": collection.encoder_weights,
        "segments": [msgspec.to_builtins(each) for each in collection.segments],
    }
    file = BytesIO()
    tensors.write(file, {EMBEDDINGS: collection.embeddings.astype("<f4")}, document)
    return file.getvalue()


def read_collection(file: Path | bytes | TensorFile, *, max_bytes: int = MAX_BYTES) -> Collection:
    """Return the collection in a file. Raises InvalidInput or TooLarge."""
    opened = _opened(file, COLLECTION, max_bytes)
    if set(opened.tensors) != {EMBEDDINGS}:
        raise InvalidInput(f"a {COLLECTION} has one tensor, {EMBEDDINGS!r}")
    known = _fitted(opened.document, _CollectionDocument)
    return Collection(known.model, known.encoder, known.encoder_weights, tuple(known.segments), opened.read(EMBEDDINGS))


def write_selection(delivered: Sequence[Delivered]) -> bytes:
    """Return the file of a selection; the same selection gives the same bytes."""
    segments = [
        {
            "segment_id": each.segment_id,
            "session": each.session,
            "tokens": each.tokens,
            "text": each.text,
            "relevance": None if each.relevance is None else f"{each.relevance:.6f}",
        }
        for each in delivered
    ]
    file = BytesIO()
    arrays = {_segment(place): as_tensor(each.memory) for place, each in enumerate(delivered)}
    tensors.write(file, arrays, {"kind": SELECTION, "version": VERSION, "segments": segments})
    return file.getvalue()


def read_selection(file: Path | bytes | TensorFile, *, max_bytes: int = MAX_BYTES) -> list[Delivered]:
    """Return the segments in a selection's file. Raises InvalidInput or TooLarge."""
    opened = _opened(file, SELECTION, max_bytes)
    known = _fitted(opened.document, _SelectionDocument).segments
    if set(opened.tensors) != {_segment(place) for place in range(len(known))}:
        raise InvalidInput(f"a {SELECTION} has one tensor a segment")
    return [
        Delivered(
            each.segment_id,
            each.session,
            each.tokens,
            each.text,
            each.relevance,
            from_tensor(opened, _segment(place)),
        )
        for place, each in enumerate(known)
    ]


@dataclass(frozen=True, slots=True)
class _CollectionDocument:
    model: str
    encoder: str
    encoder_weights: str
    segments: list[SegmentText]


@dataclass(frozen=True, slots=True)
class _SelectedDocument:
    segment_id: str
    session: int
    tokens: int
    text: str
    relevance: float | None


@dataclass(frozen=True, slots=True)
class _SelectionDocument:
    segments: list[_SelectedDocument]


def _opened(file: Path | bytes | TensorFile, kind: str, max_bytes: int) -> TensorFile:
    opened = tensors.open_tensors(file, max_bytes=max_bytes)
    if (opened.document.get("kind"), opened.document.get("version")) != (kind, VERSION):
        raise InvalidInput(f"this is no {kind}: its document must say so, version {VERSION}")
    return opened


def _fitted(document: object, shape: type[T]) -> T:
    try:
        return msgspec.convert(document, shape, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the document is malformed: {error}") from error


def _segment(place: int) -> str:
    return f"segment.{place:04}"
