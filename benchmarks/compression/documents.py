"""The text that compression is judged on: documents that no codec profile was calibrated on, by group."""

import bz2
import hashlib
import importlib.util
import sysconfig
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from factory.corpora import LEE, MARKUP, WIKIPEDIA, Document, Split, load_corpus

IN_DOMAIN = ("wikipedia", "lee")
SHIFTED = ("python", "bulgarian")
LEAST_BYTES = 8_000  # shorter files have no window of 896 tokens
BULGARIAN_FILE = "bgwiki-latest-pages-articles-shortened.xml.bz2"


def documents(group: str, *, wanted: int) -> Sequence[Document]:
    """Return the group's documents: all held-out ones of a corpus, or as many shifted ones as are wanted."""
    match group:
        case "wikipedia":
            return load_corpus(WIKIPEDIA).part(Split.HELD_OUT)
        case "lee":
            return load_corpus(LEE).part(Split.HELD_OUT)
        case "python":
            return _documents(_standard_library(), wanted)
        case "bulgarian":
            return _documents(_bulgarian_articles(), wanted)
    raise ValueError(f"no group of documents is called {group!r}")


def _documents(texts: Iterator[str], wanted: int) -> list[Document]:
    long = (text for text in texts if len(text.encode()) >= LEAST_BYTES)
    return [Document(text, hashlib.sha256(text.encode()).hexdigest()) for text in islice(long, wanted)]


def _standard_library() -> Iterator[str]:
    """Yield the source of Python's own modules, in the order of their names' digests."""
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.glob("*.py"), key=lambda path: hashlib.sha256(path.name.encode()).digest()):
        yield path.read_text(encoding="utf-8")


def _bulgarian_articles() -> Iterator[str]:
    from gensim.corpora.wikicorpus import extract_pages, filter_wiki

    specification = importlib.util.find_spec("gensim")
    assert specification is not None
    assert specification.origin is not None
    with bz2.BZ2File(Path(specification.origin).parent / "test" / "test_data" / BULGARIAN_FILE) as dump:
        for _title, text, _page in extract_pages(dump):
            yield MARKUP.sub("", filter_wiki(text))
