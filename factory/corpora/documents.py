"""Documents and corpora, split by a hash into a part to calibrate on, one to select on and one held out.

The hash is that of a document's group: near duplicates share it (`factory.corpora.duplicates`), so that none is fitted
on where another is measured. A document without near duplicates is its own group.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from latentmas.protocol.errors import InvalidInput

MIN_DOCUMENTS = 12
CUT = 2_048  # characters: the same for every tokenizer
SPLIT_SALT = b"latentmas/split/1:"


class Split(StrEnum):
    CALIBRATION = "calibration"  # to fit on
    SELECTION = "selection"  # to choose hyperparameters on: rank, penalty, gain
    HELD_OUT = "held-out"  # to measure the reported figures on; nothing is chosen by it


# Upper bounds of the first byte of the group's salted hash.
SPLIT_BOUNDS = ((Split.CALIBRATION, 128), (Split.SELECTION, 160), (Split.HELD_OUT, 256))


@dataclass(frozen=True, slots=True)
class Document:
    text: str
    digest: str  # hex SHA-256 of the text
    group: str = ""  # digest of the smallest of its near duplicates; its own by default

    def __post_init__(self) -> None:
        if not self.group:
            object.__setattr__(self, "group", self.digest)

    @property
    def split(self) -> Split:
        return split_of(self.group)


@dataclass(frozen=True, slots=True)
class Origin:
    """A text, where it was found (`numpy/linalg/_linalg.py: svd`), and what it is a part of."""

    place: str
    text: str
    whole: str = ""  # digest of the document that it was cut from; its own by default


@dataclass(frozen=True, slots=True)
class TextCorpus:
    """Distinct documents in the order of their digests, or in an order that the corpus' name stands for."""

    name: str
    digest: str  # sha256:<hex> over the documents' digests
    documents: tuple[Document, ...]
    cut: int = CUT  # characters of each document that a model reads for calibration

    def part(self, split: Split) -> tuple[Document, ...]:
        return part_of(self.documents, split)


def part_of(documents: Iterable[Document], split: Split) -> tuple[Document, ...]:
    return tuple(document for document in documents if document.split is split)


def split_of(group: str) -> Split:
    """Return the split of all documents of a group."""
    first = hashlib.sha256(SPLIT_SALT + group.encode()).digest()[0]
    return next(split for split, bound in SPLIT_BOUNDS if first < bound)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def corpus_of(name: str, texts: Iterable[str], groups: Mapping[str, str]) -> TextCorpus:
    """Return a corpus of the distinct texts; `groups` maps digests to groups where they differ.

    Raises InvalidInput if there are fewer than can be split.
    """
    unique = {digest_of(text): text for text in map(str.strip, texts) if text}
    if len(unique) < MIN_DOCUMENTS:
        raise InvalidInput(
            f"the corpus {name!r} has {len(unique)} documents; {MIN_DOCUMENTS} are the least that can be split",
            field="corpus",
        )
    documents = tuple(Document(unique[digest], digest, groups.get(digest, "")) for digest in sorted(unique))
    return TextCorpus(name, corpus_digest(documents), documents)


def corpus_digest(documents: Iterable[Document]) -> str:
    """Return sha256:<hex> over the documents' digests, in their order."""
    return f"sha256:{hashlib.sha256(chr(10).join(each.digest for each in documents).encode()).hexdigest()}"
