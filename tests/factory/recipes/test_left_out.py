"""The retention of maps that were fitted without the register that they are measured on."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.walks import corpus, save_model
from factory.corpora import Split, TextCorpus, load_corpus
from factory.corpora.suite import EvaluationSuite, SuiteCell
from factory.measurement.arms import judged
from factory.measurement.journal import Journal
from factory.measurement.suite import Measured, measure
from factory.progress import silent
from factory.recipes import left_out
from factory.recipes.functional import generate_measured
from factory.recipes.left_out import LeftOut, with_left_out
from factory.recipes.maps import FunctionalOrder
from factory.session import FactorySession
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol.w_matrix import Method, read_w_matrix

pytest.importorskip("torch")
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_files")]

SOURCE, TARGET, RANK = "one", "two", 24
PAIR = LeftOut(SOURCE, TARGET, RANK, Method.LEARNED)
CELL = 5  # documents


@pytest.fixture
def session(tmp_path_factory: pytest.TempPathFactory, own_files: Path, monkeypatch) -> FactorySession:
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate((SOURCE, TARGET)):
        save_model(folder / name, seed)
    texts = load_corpus(corpus(folder / "corpus.txt"))
    monkeypatch.setattr(left_out, "registers_of_pieces", lambda: registers(texts))
    locations = {name: str(folder / name) for name in (SOURCE, TARGET)}
    made = FactorySession(lambda: texts, own_files / "cache", Metadata(actor="test"), silent, 6000, locations)
    made.read_suite = lambda: suite_of(texts)
    made.read_selection, made.read_foreign = lambda: selection_of(texts), tuple
    return made


def registers(texts: TextCorpus) -> dict[str, str]:
    """A third of the calibration documents is of the register `words`, the others of another."""
    documents = texts.part(Split.CALIBRATION)
    return {each.digest: "words" if number % 3 == 0 else "others" for number, each in enumerate(documents)}


def suite_of(texts: TextCorpus) -> EvaluationSuite:
    documents = texts.part(Split.HELD_OUT)
    parts = {"words": documents[:CELL], "foreign": documents[CELL : 2 * CELL]}
    cells = [SuiteCell(name, 96, lambda each=each: each, CELL, wanted=CELL) for name, each in parts.items()]
    return EvaluationSuite("suite/test", "sha256:" + "0" * 64, tuple(cells))


def selection_of(texts: TextCorpus) -> tuple[SuiteCell, ...]:
    documents = texts.part(Split.SELECTION)
    return (SuiteCell("words", 96, lambda: documents, len(documents), wanted=8),)


def measured(session: FactorySession) -> Measured:
    order = FunctionalOrder(SOURCE, TARGET, version="1.0.0", test_samples=300, unified_dimension=RANK)
    stored = read_w_matrix(blobs.local_path(generate_measured(order, session).file))
    models = {"source": session.model(SOURCE), "target": session.model(TARGET)}
    return measure(judged(stored), session.suite, **models, journal=Journal(), progress=silent("score"))


def test_a_register_that_was_fitted_on_is_left_out_and_another_is_not(session) -> None:
    found = measured(session)
    figures = with_left_out(found.figures, found.documents, PAIR, session, journal=Journal())
    words, foreign = figures.cells
    assert words.left_out is not None
    assert words.left_out != words.aligned
    assert foreign.left_out is None
    assert replace(words, left_out=None) == found.figures.cells[0]


def test_what_the_journal_holds_is_not_fitted_again(session, monkeypatch: pytest.MonkeyPatch) -> None:
    found, journal = measured(session), Journal()
    once = with_left_out(found.figures, found.documents, PAIR, session, journal=journal)
    monkeypatch.setattr(left_out, "fit_map", None)  # what would fit again fails
    assert with_left_out(found.figures, found.documents, PAIR, session, journal=journal) == once
