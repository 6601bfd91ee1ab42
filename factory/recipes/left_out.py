"""Leave one register out: the retention of maps that were fitted without the register they are measured on.

That is what a stranger's text may expect of the published map. The maps are fitted for this and thrown away.
"""

import functools as ft
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from factory.corpora import Document
from factory.corpora.broad import registers_of_pieces
from factory.corpora.suite import EvaluationSuite, SuiteCell
from factory.measurement.arms import Scored, interval_of
from factory.measurement.evaluation import Memory, mapped_by, nll_of
from factory.measurement.journal import Journal
from factory.measurement.suite import reader
from factory.recipes.closed_form import fit_its_correction, fit_map
from factory.session import FactorySession
from kvcache.exchange.mapping import open_map
from latentmas.protocol.quality import Cell, DocumentScore, Interval, SuiteFigures
from latentmas.protocol.w_matrix import Method

ARM = "left_out"
Score = Callable[[Document, int], float]  # document, length of its context -> NLL of its continuation


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is fitted anew for each register: the pair, and how."""

    source: str
    target: str
    rank: int
    method: Method


def with_left_out(
    figures: SuiteFigures, scores: Sequence[DocumentScore], pair: LeftOut, session: FactorySession, *, journal: Journal
) -> SuiteFigures:
    """Return the suite's figures with `left_out` in every cell that was measured and whose register was fitted on.

    `scores` are those of the published map on the same passages; what the journal holds is not measured again.
    """
    fitted_on = set(registers_of_pieces().values())
    names = {cell.register for cell in figures.cells if cell.aligned is not None and cell.register in fitted_on}
    found: dict[tuple[str, int], Interval | None] = {}
    progress = session.stage(f"leave one register out, {pair.source} -> {pair.target}")
    for number, name in enumerate(sorted(names)):
        progress(number, len(names))
        score = _scorer(name, pair, session)
        for cell in _cells(session.suite, name):
            known = [each for each in scores if (each.register, each.length) == (name, cell.length)]
            found[name, cell.length] = _interval(cell, known, score, journal)
    progress(len(names), len(names))
    cells = tuple(_with(cell, found.get((cell.register, cell.length))) for cell in figures.cells)
    return replace(figures, cells=cells)


def _with(cell: Cell, interval: Interval | None) -> Cell:
    return cell if interval is None else replace(cell, left_out=interval)


def _cells(suite: EvaluationSuite, register: str) -> list[SuiteCell]:
    return [cell for cell in suite.cells if cell.register == register]


def _interval(cell: SuiteCell, known: Sequence[DocumentScore], score: Score, journal: Journal) -> Interval | None:
    documents = {document.digest[:16]: document for document in cell.documents}
    scores = []
    for before in known:
        one = journal.get((cell.register, cell.length, before.document))
        if one is None:
            nll = before.nll | {ARM: score(documents[before.document], cell.length)}
            one = Scored(replace(before, nll=nll), None)
            journal.add(one)
        scores.append(one.score)
    return interval_of(scores, ARM) if len(scores) >= cell.wanted else None


def _scorer(register: str, pair: LeftOut, session: FactorySession) -> Score:
    """Return a function that scores a document; the map is fitted when the first one comes."""
    fitted = ft.cache(lambda: _fitted_without(register, pair, session))

    def score(document: Document, length: int) -> float:
        memory, target = fitted(), session.model(pair.target)
        passage = reader(session.model(pair.source), target)(document, length)
        assert passage is not None  # it was scored before
        return nll_of(target, memory(passage), passage)

    return score


def _fitted_without(register: str, pair: LeftOut, session: FactorySession) -> Memory:
    packs = session.pack(pair.source), session.pack(pair.target)
    registers = registers_of_pieces()

    def keep(digest: str) -> bool:
        return registers.get(digest) != register

    session.unload_models()
    progress = session.stage(f"fit without {register}")
    fitted = fit_map(packs, rank=pair.rank, method=pair.method, progress=progress, keep=keep)
    correction = fit_its_correction(packs, fitted, progress=progress, keep=keep)
    return mapped_by(open_map(fitted.arrays() | correction, target=packs[1].of_cache()[0]))
