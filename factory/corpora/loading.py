"""Load a corpus by its name or from files."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from factory.corpora import samples
from factory.corpora.broad import is_broad, load_broad
from factory.corpora.documents import TextCorpus, corpus_of
from factory.corpora.known import corpus_with
from latentmas.protocol.errors import InvalidInput, TooLarge

LEE = "lee"
WIKIPEDIA = "wikipedia"
BOTH = f"{LEE}+{WIKIPEDIA}"
MAX_CORPUS_BYTES = 1 << 30


def load_corpus(location: str | None = None) -> TextCorpus:
    """Return a corpus from a text file, a folder of .txt files or JSONL with a `text` field; by default the Lee corpus.

    "broad" is text of all registers (`factory.corpora.broad`), "broad-without-code" the same without that one. "lee"
    (300 news items) and "wikipedia" (106 long articles) are the samples that come with gensim; "lee+wikipedia" is both
    together.
    A text file holds one document a paragraph, or one a line where it has no blank lines.
    Raises InvalidInput where it is missing, not text or too small, TooLarge past 1 GiB.
    """
    if location in (None, LEE):
        return _packaged("lee-background", samples.news_items())
    if location == WIKIPEDIA:
        return _packaged("wikipedia-sample", samples.articles())
    if location == BOTH:
        return _packaged("lee-background+wikipedia-sample", itertools.chain(samples.news_items(), samples.articles()))
    assert location is not None
    if is_broad(location):
        return load_broad(location)
    path = Path(location).expanduser()
    if path.is_dir():
        files = sorted(path.rglob("*.txt"))
        return corpus_of(path.name, (_text(file) for file in files), {})
    if not path.is_file():
        raise InvalidInput(f"the corpus {location!r} is neither a file nor a folder", field="corpus")
    if path.suffix == ".jsonl":
        return corpus_of(path.name, _json_lines(path), {})
    return corpus_of(path.name, _paragraphs(_text(path)), {})


def _packaged(name: str, texts: Iterator[str]) -> TextCorpus:
    known = corpus_with(name=name)
    return corpus_of(name, texts, {} if known is None else known.groups)


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
