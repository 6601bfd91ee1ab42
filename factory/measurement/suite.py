"""Measure a W-Matrix on an evaluation suite: every register at every context length, one passage after the other.

Both models read a passage when it is its turn and forget it afterwards, so that memory does not grow with the suite.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from factory.corpora import Document
from factory.corpora.suite import EvaluationSuite, SuiteCell
from factory.measurement.arms import Judged, Scored, fidelity_of, interval_of, retention_of, scored
from factory.measurement.journal import Journal
from factory.measurement.passages import CONTINUATION_TOKENS, Passage, read_passage
from factory.progress import Progress
from factory.runners.model import RunningModel
from factory.slices import Slice
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import (
    SAMPLED,
    Cell,
    DocumentScore,
    Interval,
    LayerFidelity,
    Retention,
    SuiteFigures,
    TokenMode,
)

LEAST_SHARE = 0.75  # of a cell's length: the shortest context that counts
ARMS = (
    "aligned",
    "source_tokens",
    "wrong_document",
    "own_tokens",
    "tokens_only",
    "random_w",
    "text_eighth",
    "reread",
    "reread_nothing",
    "reread_stranger",
    "in_place",
    "in_place_stranger",
    "in_place_alone",
)

Reader = Callable[[Document, int], Passage | None]


@dataclass(frozen=True, slots=True)
class Measured:
    """The suite's figures; retention and layers over all documents of the shortest length that count."""

    figures: SuiteFigures
    retention: Retention
    reread: Interval | None
    layers: tuple[LayerFidelity, ...]
    documents: tuple[DocumentScore, ...]


def measure(
    matrix: Judged,
    suite: EvaluationSuite,
    *,
    source: RunningModel,
    target: RunningModel,
    journal: Journal,
    progress: Progress,
) -> Measured:
    """Score every cell of the suite. What the journal holds is not measured again.

    Raises InvalidInput where no register has two documents of the shortest length.
    """
    read = reader(source, target)
    shortest = suite.shortest
    total, done = sum(len(cell.documents) for cell in suite.cells), 0
    found: list[Scored] = []
    cells: list[Cell] = []
    for cell in suite.cells:
        of_cell: list[Scored] = []
        for one in _scores(cell, matrix, target, read, journal, whole=cell.length == shortest):
            of_cell.append(one)
            progress(done + len(of_cell), total)
        done += len(cell.documents)
        progress(done, total)
        found += of_cell
        cells.append(cell_of(cell.register, cell.length, [each.score for each in of_cell], wanted=cell.wanted))
    basic = [each for each in found if each.score.length == shortest and each.score.register != SAMPLED]
    if not basic:
        raise InvalidInput(f"{suite.name} gives no passage of {shortest} tokens to measure on", field="suite")
    return Measured(
        figures=SuiteFigures(suite.name, suite.digest, TokenMode.TOKENS_KNOWN, tuple(cells)),
        retention=retention_of([each.score for each in basic]),
        reread=interval_of([each.score for each in basic], "reread"),
        layers=fidelity_of(basic),
        documents=tuple(each.score for each in found),
    )


def score(
    matrix: Judged,
    suite: EvaluationSuite,
    part: Slice,
    *,
    models: tuple[RunningModel, RunningModel],
    journal: Journal,
    progress: Progress,
) -> list[Scored]:
    """Score a part of the suite's passages; all parts are about the same work.

    What the journal holds is not measured again.
    """
    places = [(place, number) for place, cell in enumerate(suite.cells) for number in range(len(cell.documents))]
    mine = part.of(places, weights=[suite.cells[place].length for place, _ in places])
    read, shortest = reader(*models), suite.shortest
    found: list[Scored] = []
    for place, cell in enumerate(suite.cells):
        numbers = [number for each, number in mine if each == place]
        whole = cell.length == shortest
        for one in _scores(cell, matrix, models[1], read, journal, whole=whole, numbers=numbers):
            found.append(one)
            progress(len(found), len(mine))
    progress(len(mine), len(mine))
    return found


def _stranger(cell: SuiteCell, number: int, read: Reader) -> Passage | None:
    """Return the passage before that of a document; documents that are too short are passed over."""
    before = [*reversed(range(number)), *reversed(range(number + 1, len(cell.documents)))]
    return next((found for each in before if (found := read(cell.documents[each], cell.length))), None)


def cell_of(register: str, length: int, scores: Sequence[DocumentScore], *, wanted: int) -> Cell:
    """Return a cell's figures; where fewer documents than `wanted` were scored, only their number."""
    tokens = sum(each.scored_tokens for each in scores)
    if len(scores) < wanted or not scores:
        return Cell(register, length, len(scores), tokens)
    figures = {arm: interval_of(scores, arm) for arm in ARMS}
    figures["beyond_tokens"] = interval_of(scores, "aligned", over="tokens_only")
    return Cell(register, length, len(scores), tokens, **figures)


def reader(source: RunningModel, target: RunningModel, *, continuation: int = CONTINUATION_TOKENS) -> Reader:
    """Return a function that reads a document's passage of a length with both models; None if it is too short."""

    def read(document: Document, length: int) -> Passage | None:
        shortest = int(LEAST_SHARE * length)
        return read_passage(
            document, source=source, target=target, longest=length, shortest=shortest, continuation=continuation
        )

    return read


def passages_in(cell: SuiteCell, read: Reader) -> Iterator[Passage]:
    """Yield as many passages as a cell wants, of its first documents that are long enough."""
    passages = (passage for document in cell.documents if (passage := read(document, cell.length)))
    return itertools.islice(passages, cell.wanted)


def _scores(
    cell: SuiteCell,
    matrix: Judged,
    target: RunningModel,
    read: Reader,
    journal: Journal,
    *,
    whole: bool,
    numbers: Sequence[int] | None = None,
) -> Iterator[Scored]:
    """Yield a cell's scores, or those of some of its documents.

    A passage's stranger is the one before it; the first one's is the last.
    """
    previous: Passage | None = None
    for number in range(len(cell.documents)) if numbers is None else numbers:
        document = cell.documents[number]
        if known := journal.get((cell.register, cell.length, document.digest[:16])):
            previous = None
            yield known
            continue
        passage = read(document, cell.length)
        if passage is None:
            continue
        stranger = previous or _stranger(cell, number, read)
        if stranger is None or stranger.document == passage.document:
            continue
        one = scored(passage, stranger, matrix, target=target, whole=whole)
        one = replace(one, score=replace(one.score, register=cell.register, length=cell.length))
        journal.add(one)
        previous = passage
        yield one
