"""The text that compression is judged on: documents that no codec profile was calibrated on, by group.

Besides held-out news and Wikipedia: what is on every machine after setting up, in other languages (Django's translated
messages) and other registers (code, package descriptions).
"""

import bz2
import hashlib
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from itertools import islice
from pathlib import Path

from factory.corpora import LEE, MARKUP, WIKIPEDIA, Document, Split, load_corpus, packages

IN_DOMAIN = ("wikipedia", "lee")
SHIFTED = ("python", "bulgarian")
MESSAGES = "messages-"  # before a language
# Every second language and one register chose the margin of the KL bound; the others only judge it.
CHOOSING = (
    *(MESSAGES + language for language in ("ar", "el", "fa", "fr", "hi", "ka", "pl", "sw", "tr", "vi")),
    "c-headers",
)
UNSEEN = (
    *(MESSAGES + language for language in ("de", "es", "fi", "he", "ja", "ko", "ru", "th", "uk", "zh_Hans")),
    *("javascript", "descriptions"),
)
LEAST_BYTES = 8_000  # shorter files have no window of 896 tokens
BULGARIAN_FILE = "bgwiki-latest-pages-articles-shortened.xml.bz2"


def documents(group: str, *, wanted: int) -> Sequence[Document]:
    """Return the group's documents: all held-out ones of a corpus, or as many others as are wanted."""
    match group:
        case "wikipedia":
            return load_corpus(WIKIPEDIA).part(Split.HELD_OUT)
        case "lee":
            return load_corpus(LEE).part(Split.HELD_OUT)
        case "python":
            return _documents(_files(Path(sysconfig.get_path("stdlib")).glob("*.py")), wanted)
        case "bulgarian":
            return _documents(_bulgarian_articles(), wanted)
        case "c-headers":
            return _documents(_files((packages.package_folder("numpy") / "_core" / "include").rglob("*.h")), wanted)
        case "javascript":
            return _documents(_files((packages.package_folder("django") / "contrib").rglob("*.js")), wanted)
        case "descriptions":
            return _documents(_descriptions(), wanted)
    if not group.startswith(MESSAGES):
        raise ValueError(f"no group of documents is called {group!r}")
    return _documents(iter([packages.messages(group.removeprefix(MESSAGES))]), wanted)


def _documents(texts: Iterator[str], wanted: int) -> list[Document]:
    long = (text for text in texts if len(text.encode()) >= LEAST_BYTES)
    return [Document(text, hashlib.sha256(text.encode()).hexdigest()) for text in islice(long, wanted)]


def _files(paths: Iterator[Path]) -> Iterator[str]:
    """Yield the text of files in the order of their names' digests, without what a tool has minified."""
    named = (path for path in paths if ".min." not in path.name)
    for path in sorted(named, key=lambda path: hashlib.sha256(path.name.encode()).digest()):
        yield path.read_text(encoding="utf-8")


def _descriptions() -> Iterator[str]:
    """Yield the descriptions that installed packages carry, in the order of the packages' names."""
    for each in sorted(distributions(), key=lambda each: each.name.lower()):
        yield str(each.metadata.get_payload())


def _bulgarian_articles() -> Iterator[str]:
    from gensim.corpora.wikicorpus import extract_pages, filter_wiki

    with bz2.BZ2File(packages.package_folder("gensim") / "test" / "test_data" / BULGARIAN_FILE) as dump:
        for _title, text, _page in extract_pages(dump):
            yield MARKUP.sub("", filter_wiki(text))
