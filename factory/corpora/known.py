"""The corpora that come with the product, by digest: a contributed pack is checked where no text is installed."""

import functools as ft
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from factory.corpora.documents import CUT

KNOWN_CORPORA = Path(__file__).parents[1] / "data" / "corpora.json"


@dataclass(frozen=True, slots=True)
class KnownCorpus:
    """`documents` maps hex SHA-256 to length in characters, `groups` to the group where it is another digest."""

    name: str
    digest: str
    location: str  # as `load_corpus` takes it
    documents: Mapping[str, int]
    groups: Mapping[str, str] = field(default_factory=dict)
    cut: int = CUT  # characters of each document that a model reads for calibration


@ft.cache
def known_corpora() -> tuple[KnownCorpus, ...]:
    return msgspec.convert(json.loads(KNOWN_CORPORA.read_text()), tuple[KnownCorpus, ...])


def corpus_with(*, digest: str | None = None, name: str | None = None) -> KnownCorpus | None:
    """Return the known corpus with that digest or that name, or None."""
    return next((each for each in known_corpora() if digest == each.digest or name == each.name), None)
