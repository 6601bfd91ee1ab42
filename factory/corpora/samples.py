"""News and encyclopaedia articles: the sample texts that come with gensim, pinned by SHA-256."""

import bz2
import functools as ft
import hashlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

from latentmas.protocol.errors import InvalidInput

LEE_FILE = "lee_background.cor"
LEE_SHA256 = "5d78d6dafd953bbf65797bef09a9ffb9ec430583381be705f8fd460000f370fb"
MORE_LEE_FILE = "lee.cor"
MORE_LEE_SHA256 = "a878f9a58f6743c32985c56c2f2f75988386216b38a4023a01fd3bcf7884d93e"
WIKIPEDIA_FILE = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
WIKIPEDIA_SHA256 = "a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d"
MARKUP = re.compile(r"'{2,}|^[=*#:; ]+|=+[ \t]*$", re.MULTILINE)  # what gensim's filter leaves


def news_items() -> Iterator[str]:
    """Yield the 300 items of the Lee background corpus."""
    yield from _packaged(LEE_FILE, LEE_SHA256).read_text(encoding="utf-8").splitlines()


def more_news_items() -> Iterator[str]:
    """Yield the 50 items of the Lee corpus, none of which is in the background corpus."""
    yield from _packaged(MORE_LEE_FILE, MORE_LEE_SHA256).read_text(encoding="latin-1").splitlines()


def articles() -> Iterator[str]:
    """Yield the plain text of the English Wikipedia articles in gensim's sample dump."""
    yield from _articles()


@ft.cache
def _articles() -> tuple[str, ...]:
    path = _packaged(WIKIPEDIA_FILE, WIKIPEDIA_SHA256)
    from gensim.corpora.wikicorpus import extract_pages, filter_wiki

    with bz2.BZ2File(path) as dump:
        return tuple(
            MARKUP.sub("", filter_wiki(text))
            for _title, text, _page in extract_pages(dump)
            if text and not text.lstrip().lower().startswith("#redirect")
        )


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
