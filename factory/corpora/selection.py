"""The selection documents of all registers: what ranks are chosen on and forecasts are fitted on.

Forecasts also learn from text that no map was calibrated on: what they must see is what such memories look like.
"""

import functools as ft

from factory.corpora import packages
from factory.corpora.broad import SHARES
from factory.corpora.digests import news_digests
from factory.corpora.documents import Document, Split, digest_of, part_of
from factory.corpora.registers import documents_of
from factory.corpora.suite import DIGESTED, SuiteCell, groups_in_use

WANTED = {256: 4, 1024: 2}  # documents of a register at a context length, one of each group
DIGESTS = 4  # that the news items give where they are too short
# Of Django's translations: of several scripts and families, and none by which a gate is judged (`benchmarks`).
LANGUAGES = ("it", "nl", "cs", "hu", "id", "sr", "hy", "mr", "ml", "ug")
WANTED_FOREIGN = {256: 2, 1024: 1}  # pieces of a language at a context length
PIECE = 6_000  # characters


def load_selection() -> tuple[SuiteCell, ...]:
    """Return every register's selection documents at two lengths; more than are wanted, since some are too short."""
    return tuple(
        SuiteCell(register, length, ft.partial(_documents, register, length), len(_documents(register, length)), wanted)
        for length, wanted in WANTED.items()
        for register in SHARES
    )


def load_foreign() -> tuple[SuiteCell, ...]:
    """Return text in other languages at the same lengths, for forecasts alone. InvalidInput where it is missing."""
    return tuple(
        SuiteCell(f"foreign {language}", length, ft.partial(_pieces, language), len(_pieces(language)), wanted)
        for length, wanted in WANTED_FOREIGN.items()
        for language in LANGUAGES
    )


@ft.cache
def _pieces(language: str) -> tuple[Document, ...]:
    text = packages.messages(language)
    pieces = [text[start : start + PIECE] for start in range(0, max(WANTED_FOREIGN.values()) * PIECE, PIECE)]
    return tuple(Document(piece, digest_of(piece)) for piece in pieces)


@ft.cache
def _documents(register: str, length: int) -> tuple[Document, ...]:
    texts = part_of(documents_of(register), Split.SELECTION)
    if (register, length) in DIGESTED:
        return news_digests(texts, count=DIGESTS)
    usable = {each.group: each for each in texts if each.group not in groups_in_use()}
    return tuple(sorted(usable.values(), key=lambda each: each.digest))
