"""Text corpora, each split by document into a part to calibrate on, one to select on and one held out.

A hash of a document's text decides its split, so splits are the same on every machine. `data/corpora.json` lists the
SHA-256 and length of every document of the corpora that come with the product: with these a contributed pack can be
checked where the texts are not installed.
"""

import bz2
import functools as ft
import hashlib
import importlib.util
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from latentmas.protocol.errors import InvalidInput, TooLarge

LEE = "lee"
LEE_SHA256 = "5d78d6dafd953bbf65797bef09a9ffb9ec430583381be705f8fd460000f370fb"
WIKIPEDIA = "wikipedia"
BOTH = f"{LEE}+{WIKIPEDIA}"
WIKIPEDIA_FILE = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
WIKIPEDIA_SHA256 = "a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d"
MARKUP = re.compile(r"'{2,}|^[=*#:; ]+|=+[ \t]*$", re.MULTILINE)  # what gensim's filter leaves
KNOWN_CORPORA = Path(__file__).parent / "data" / "corpora.json"
MAX_CORPUS_BYTES = 1 << 30
MIN_DOCUMENTS = 12
SPLIT_SALT = b"latentmas/split/1:"


class Split(StrEnum):
    CALIBRATION = "calibration"  # to fit on
    SELECTION = "selection"  # to choose hyperparameters on: rank, penalty, gain
    HELD_OUT = "held-out"  # to measure the reported figures on; nothing is chosen by it


# Upper bounds of the first byte of the document's salted hash.
SPLIT_BOUNDS = ((Split.CALIBRATION, 128), (Split.SELECTION, 160), (Split.HELD_OUT, 256))


@dataclass(frozen=True, slots=True)
class Document:
    text: str
    digest: str  # hex SHA-256 of the text

    @property
    def split(self) -> Split:
        first = hashlib.sha256(SPLIT_SALT + self.digest.encode()).digest()[0]
        return next(split for split, bound in SPLIT_BOUNDS if first < bound)


@dataclass(frozen=True, slots=True)
class TextCorpus:
    """Distinct documents in the order of their digests."""

    name: str
    digest: str  # sha256:<hex> over the documents' digests
    documents: tuple[Document, ...]

    def part(self, split: Split) -> tuple[Document, ...]:
        return tuple(document for document in self.documents if document.split is split)


def load_corpus(location: str | None = None) -> TextCorpus:
    """Return a corpus from a text file, a folder of .txt files or JSONL with a `text` field; by default the Lee corpus.

    "lee" (300 news items) and "wikipedia" (106 long articles) are the samples that come with gensim; "lee+wikipedia" is
    both together.
    A text file holds one document a paragraph, or one a line where it has no blank lines.
    Raises InvalidInput where it is missing, not text or too small, TooLarge past 1 GiB.
    """
    if location in (None, LEE):
        return _corpus("lee-background", _paragraphs(_lee_text()))
    if location == WIKIPEDIA:
        return _corpus("wikipedia-sample", _articles())
    if location == BOTH:
        return _corpus("lee-background+wikipedia-sample", itertools.chain(_paragraphs(_lee_text()), _articles()))
    assert location is not None
    path = Path(location).expanduser()
    if path.is_dir():
        files = sorted(path.rglob("*.txt"))
        return _corpus(path.name, (_text(file) for file in files))
    if not path.is_file():
        raise InvalidInput(f"the corpus {location!r} is neither a file nor a folder", field="corpus")
    if path.suffix == ".jsonl":
        return _corpus(path.name, _json_lines(path))
    return _corpus(path.name, _paragraphs(_text(path)))


def _corpus(name: str, texts: Iterator[str]) -> TextCorpus:
    unique = {hashlib.sha256(text.encode()).hexdigest(): text for text in map(str.strip, texts) if text}
    if len(unique) < MIN_DOCUMENTS:
        raise InvalidInput(
            f"the corpus {name!r} has {len(unique)} documents; {MIN_DOCUMENTS} are the least that can be split",
            field="corpus",
        )
    documents = tuple(Document(unique[digest], digest) for digest in sorted(unique))
    total = hashlib.sha256("\n".join(document.digest for document in documents).encode()).hexdigest()
    return TextCorpus(name, f"sha256:{total}", documents)


def _lee_text() -> str:
    return _text(_packaged("lee_background.cor", LEE_SHA256))


def _articles() -> Iterator[str]:
    """Yield the plain text of the English Wikipedia articles in gensim's sample dump."""
    path = _packaged(WIKIPEDIA_FILE, WIKIPEDIA_SHA256)
    from gensim.corpora.wikicorpus import extract_pages, filter_wiki

    with bz2.BZ2File(path) as dump:
        for _title, text, _page in extract_pages(dump):
            if text and not text.lstrip().lower().startswith("#redirect"):
                yield MARKUP.sub("", filter_wiki(text))


def _packaged(name: str, sha256: str) -> Path:
    specification = importlib.util.find_spec("gensim")
    if specification is None or specification.origin is None:
        raise InvalidInput(
            "the packaged corpora come with gensim, which is not installed",
            resolution="Install the extra `models`, or name a corpus.",
        )
    path = Path(specification.origin).parent / "test" / "test_data" / name
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise InvalidInput(f"the corpus {name} has the SHA-256 {found}, not {sha256}: figures would not compare")
    return path


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_CORPUS_BYTES:
        raise TooLarge(f"{path.name} is larger than {MAX_CORPUS_BYTES} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not UTF-8 text (byte {error.start})", field="corpus") from error


def _paragraphs(text: str) -> Iterator[str]:
    return iter(text.split("\n\n") if "\n\n" in text.strip() else text.splitlines())


def _json_lines(path: Path) -> Iterator[str]:
    for number, line in enumerate(_text(path).splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"line {number} of {path.name} is not JSON", field="corpus") from error
        if not isinstance(record, dict) or not isinstance(record.get("text"), str):
            raise InvalidInput(f"line {number} of {path.name} has no text in its field 'text'", field="corpus")
        yield record["text"]


@dataclass(frozen=True, slots=True)
class KnownCorpus:
    """A corpus that comes with the product; `documents` maps hex SHA-256 to length in characters."""

    name: str
    digest: str
    location: str  # as `load_corpus` takes it
    documents: Mapping[str, int]


@ft.cache
def known_corpora() -> tuple[KnownCorpus, ...]:
    return msgspec.convert(json.loads(KNOWN_CORPORA.read_text()), tuple[KnownCorpus, ...])


def corpus_with(*, digest: str | None = None, name: str | None = None) -> KnownCorpus | None:
    """Return the known corpus with that digest or that name, or None."""
    return next((each for each in known_corpora() if digest == each.digest or name == each.name), None)
