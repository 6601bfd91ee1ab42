"""The corpora that come with the product, as facts: what their documents are called and how long each is.

With these a contributed pack can be checked on a machine that has no corpus at hand. Tests compare them with the text.
"""

import functools as ft
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

FILE = Path(__file__).parent.parent / "data" / "corpora.json"


@dataclass(frozen=True, slots=True)
class KnownCorpus:
    """`location` is what `load_corpus` takes; `documents` has the characters of each, by hex SHA-256."""

    name: str
    digest: str
    location: str
    documents: Mapping[str, int]


@ft.cache
def known_corpora() -> tuple[KnownCorpus, ...]:
    return msgspec.convert(json.loads(FILE.read_text()), tuple[KnownCorpus, ...])


def corpus_with(*, digest: str | None = None, name: str | None = None) -> KnownCorpus | None:
    """Return the corpus of that digest or that name, None where it is none of ours."""
    return next((each for each in known_corpora() if digest == each.digest or name == each.name), None)
