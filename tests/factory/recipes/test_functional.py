"""A W-Matrix measured with its target: the figures on record are those of the file that is stored."""

import functools as ft
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.walks import corpus, save_model
from factory.corpora import Split, TextCorpus, load_corpus
from factory.measurement.evaluation import aligned_retention, bounds_of, evaluate, handed_over
from factory.measurement.passages import Passage, read_passages
from factory.progress import silent
from factory.recipes import functional
from factory.recipes.functional import FunctionalOrder, generate_measured
from factory.recipes.results import Generated
from factory.session import FactorySession
from kvcache.exchange.mapping import open_w_matrix
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol.quality import REREAD_TOKENS, EvaluationReport
from latentmas.protocol.w_matrix import WMatrix, read_w_matrix

pytest.importorskip("torch")
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_files")]

SOURCE, TARGET = "one", "two"
PASSAGES = 5
ORDER = FunctionalOrder(SOURCE, TARGET, version="1.0.0", test_samples=300, unified_dimension=24)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two tiny models that expect the words that they have read, so that a memory is of use to them."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate((SOURCE, TARGET)):
        save_model(folder / name, seed)
    return {name: str(folder / name) for name in (SOURCE, TARGET)}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> TextCorpus:
    return load_corpus(corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt"))


@pytest.fixture
def session(folders: dict[str, str], texts: TextCorpus, own_files: Path, monkeypatch) -> FactorySession:
    monkeypatch.setattr(functional, "SELECTION_PASSAGES", 3)
    monkeypatch.setattr(functional, "HELD_OUT_PASSAGES", PASSAGES)
    metadata, cache = Metadata(actor="test"), own_files / "cache"
    return FactorySession(lambda: texts, cache, metadata, silent, calibration_tokens=4000, locations=folders)


def held_out(session: FactorySession) -> list[Passage]:
    source, target = session.model(SOURCE), session.model(TARGET)
    documents = session.corpus.part(Split.HELD_OUT)
    return read_passages(documents, source=source, target=target, wanted=PASSAGES, progress=silent("read"))


def require_that_the_file_earns_its_figures(made: Generated, session: FactorySession) -> None:
    stored = read_w_matrix(blobs.local_path(made.file))
    passages, target = held_out(session), session.model(TARGET)
    judged = evaluate(stored, passages, target=target, progress=silent("score"))
    report = msgspec.json.decode(blobs.open_blob(made.report).read(), type=EvaluationReport, strict=False)
    assert judged.retention == made.quality.retention == report.quality.retention
    assert judged.documents == report.documents
    assert judged.layers == report.layers
    assert stored.document.quality_metrics.information_retention == judged.retention.aligned.value
    opened, bounds = open_w_matrix(stored), bounds_of(passages, target=target)
    judge = ft.partial(aligned_retention, passages=passages, target=target, bounds=bounds)
    assert judge(handed_over(opened, by_tokens=False)) == made.quality.uncorrected != judged.retention.aligned
    assert judge(handed_over(opened, leave=REREAD_TOKENS), leave=REREAD_TOKENS) == made.quality.reread


def test_the_figures_are_those_of_the_stored_file(session) -> None:
    made = generate_measured(ORDER, session)
    assert (made.source.name, made.target.name, made.quality.documents) == (SOURCE, TARGET, PASSAGES)
    require_that_the_file_earns_its_figures(made, session)


def test_an_8_bit_file_is_judged_by_its_8_bit_matrices(session) -> None:
    whole, small = (generate_measured(replace(ORDER, eight_bit=each), session) for each in (False, True))
    assert read_w_matrix(blobs.local_path(small.file)).arrays["encoder"].dtype == np.int8
    assert small.quality.retention != whole.quality.retention
    require_that_the_file_earns_its_figures(small, session)


def test_what_writing_changes_is_judged_too(session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written as it is today, nothing is lost. Were it rounded, the figures would still be those of the file."""
    whole = generate_measured(ORDER, session)
    write = WMatrix.write
    monkeypatch.setattr(WMatrix, "write", lambda self, file: write(rounded(self), file))
    made = generate_measured(ORDER, session)
    assert made.quality.retention != whole.quality.retention
    require_that_the_file_earns_its_figures(made, session)


def rounded(w_matrix: WMatrix) -> WMatrix:
    """Return a W-Matrix whose numbers keep four bits; rounding it again changes nothing."""

    def four_bits(array: np.ndarray) -> np.ndarray:
        fraction, exponent = np.frexp(array)
        return np.ldexp(np.round(fraction * 16) / 16, exponent).astype(array.dtype)

    return WMatrix(w_matrix.document, {name: four_bits(array) for name, array in w_matrix.arrays.items()})
