"""The selection documents of all registers: what ranks are chosen on and forecasts are fitted on."""

import functools as ft

from factory.corpora.broad import SHARES
from factory.corpora.digests import news_digests
from factory.corpora.documents import Document, Split, part_of
from factory.corpora.registers import documents_of
from factory.corpora.suite import DIGESTED, SuiteCell, groups_in_use

WANTED = {256: 4, 1024: 2}  # documents of a register at a context length, one of each group
DIGESTS = 4  # that the news items give where they are too short


def load_selection() -> tuple[SuiteCell, ...]:
    """Return every register's selection documents at two lengths; more than are wanted, since some are too short."""
    return tuple(
        SuiteCell(register, length, ft.partial(_documents, register, length), len(_documents(register, length)), wanted)
        for length, wanted in WANTED.items()
        for register in SHARES
    )


@ft.cache
def _documents(register: str, length: int) -> tuple[Document, ...]:
    texts = part_of(documents_of(register), Split.SELECTION)
    if (register, length) in DIGESTED:
        return news_digests(texts, count=DIGESTS)
    usable = {each.group: each for each in texts if each.group not in groups_in_use()}
    return tuple(sorted(usable.values(), key=lambda each: each.digest))
