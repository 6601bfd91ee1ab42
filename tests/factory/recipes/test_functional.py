"""A W-Matrix measured with its target: the figures on record are those of the file that is stored."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.walks import corpus, save_model
from factory.corpora import Split, TextCorpus, load_corpus
from factory.corpora.suite import EvaluationSuite, SuiteCell
from factory.distillation.maps import Origin, keep_map
from factory.measurement.arms import judged
from factory.measurement.evaluation import UNCONDITIONAL
from factory.measurement.journal import Journal
from factory.measurement.passages import read_passage
from factory.measurement.suite import measure
from factory.progress import silent
from factory.recipes.functional import generate_measured
from factory.recipes.maps import FunctionalOrder
from factory.recipes.results import Generated
from factory.session import FactorySession
from kvcache.exchange.exchange import exchange
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import EvaluationReport, TokenMode
from latentmas.protocol.w_matrix import WMatrix, read_w_matrix

pytest.importorskip("torch")
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_files")]

SOURCE, TARGET = "one", "two"
PASSAGES = 5
LENGTHS = (96, 128)  # tokens of context
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


@pytest.fixture(scope="module")
def kept_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept from test to test: a passage that one of them has scored is not scored again."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def session(
    folders: dict[str, str], texts: TextCorpus, kept_cache: Path, own_files: Path, monkeypatch
) -> FactorySession:
    monkeypatch.setattr("factory.recipes.maps.FORECAST_TOKENS", 64)  # the texts are short
    return FactorySession(
        lambda: texts,
        kept_cache,
        Metadata(actor="test"),
        silent,
        calibration_tokens=4000,
        locations=folders,
        read_suite=lambda: suite_of(texts),
        read_selection=lambda: selection_of(texts),
        read_foreign=tuple,
    )


def suite_of(texts: TextCorpus) -> EvaluationSuite:
    """One register, held-out documents of the corpus, at two lengths."""
    documents = texts.part(Split.HELD_OUT)[:PASSAGES]
    cells = [SuiteCell("words", length, lambda: documents, len(documents), wanted=PASSAGES) for length in LENGTHS]
    return EvaluationSuite("suite/test", "sha256:" + "0" * 64, tuple(cells))


def selection_of(texts: TextCorpus) -> tuple[SuiteCell, ...]:
    """Calibration documents, since the selection has too few for a forecast."""
    documents = texts.part(Split.CALIBRATION)
    return tuple(SuiteCell("words", length, lambda: documents, len(documents), wanted=4) for length in LENGTHS)


def require_that_the_file_earns_its_figures(made: Generated, session: FactorySession) -> None:
    stored = read_w_matrix(blobs.local_path(made.file))
    found = measure(
        judged(stored),
        session.suite,
        source=session.model(SOURCE),
        target=session.model(TARGET),
        journal=Journal(),
        progress=silent("score"),
    )
    report = msgspec.json.decode(blobs.open_blob(made.report).read(), type=EvaluationReport, strict=False)
    assert found.retention == made.quality.retention == report.quality.retention
    assert found.layers == report.layers
    assert stored.document.quality_metrics.information_retention == found.retention.aligned.value
    assert [without_control(each.nll) for each in report.documents] == [each.nll for each in found.documents]
    assert made.quality.suite == report.quality.suite
    assert [replace(cell, tokens_only=None, beyond_tokens=None) for cell in made.quality.suite.cells] == list(
        found.figures.cells
    )


def without_control(nll: dict[str, float]) -> dict[str, float]:
    return {arm: value for arm, value in nll.items() if arm != "tokens_only"}


def test_every_cell_has_its_controls_and_both_modes(session) -> None:
    made = generate_measured(ORDER, session)
    figures = made.quality.suite
    assert (figures.name, figures.mode, figures.lengths) == ("suite/test", TokenMode.TOKENS_KNOWN, LENGTHS)
    for cell in figures.cells:
        assert (cell.register, cell.documents) == ("words", PASSAGES)
        wanted = (
            cell.aligned,
            cell.source_tokens,
            cell.own_tokens,
            cell.tokens_only,
            cell.wrong_document,
            cell.reread,
            cell.in_place,
        )
        assert None not in wanted
        assert cell.left_out is None


def test_a_cell_with_too_few_texts_has_no_figures(session) -> None:
    suite = suite_of(session.corpus)
    session.read_suite = lambda: replace(suite, cells=(suite.cells[0], replace(suite.cells[1], wanted=PASSAGES + 1)))
    _, longer = generate_measured(ORDER, session).quality.suite.cells
    assert (longer.documents, longer.aligned, longer.text_eighth) == (PASSAGES, None, None)


def test_an_interrupted_measurement_goes_on_where_it_stopped(session, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = generate_measured(ORDER, session)
    monkeypatch.setattr("factory.measurement.suite.scored", None)  # what would score again fails
    assert generate_measured(ORDER, session).quality == whole.quality


def test_a_suite_that_gives_too_few_scored_tokens_is_refused(session) -> None:
    with pytest.raises(InvalidInput, match="scored tokens in 10 passages, not 9999"):
        generate_measured(replace(ORDER, test_samples=9999), session)


def test_the_figures_are_those_of_the_stored_file(session) -> None:
    made = generate_measured(ORDER, session)
    assert (made.source.name, made.target.name, made.quality.documents) == (SOURCE, TARGET, 2 * PASSAGES)
    require_that_the_file_earns_its_figures(made, session)


def test_the_file_forecasts_what_a_single_memory_keeps(session) -> None:
    stored = read_w_matrix(blobs.local_path(generate_measured(ORDER, session).file))
    assert {each.mode for each in stored.document.forecasts} == {TokenMode.TOKENS_KNOWN, TokenMode.SOURCE_TOKENS}
    document = session.corpus.part(Split.HELD_OUT)[0]
    passage = read_passage(document, source=session.model(SOURCE), target=session.model(TARGET), longest=LENGTHS[0])
    known = passage.known(width=stored.arrays["correction_encoder"].shape[1])
    for target in (known, None):
        expected = exchange(passage.source, stored, target=target, policy=UNCONDITIONAL).quality.expected_retention
        assert expected.low < expected.value < expected.high


def test_forecasts_also_learn_from_text_that_no_map_was_calibrated_on(session) -> None:
    documents = session.corpus.part(Split.SELECTION)
    session.read_foreign = lambda: (SuiteCell("foreign xx", LENGTHS[0], lambda: documents, len(documents), wanted=2),)
    learnt = [each.memories for each in read_w_matrix(drafted_file(session)).document.forecasts]
    session.read_foreign = tuple
    assert learnt == [each.memories + 2 for each in read_w_matrix(drafted_file(session)).document.forecasts]


def drafted_file(session: FactorySession) -> Path:
    return blobs.local_path(generate_measured(ORDER, session).file)


def test_an_8_bit_file_is_judged_by_its_8_bit_matrices(session) -> None:
    whole, small = (generate_measured(replace(ORDER, eight_bit=each), session) for each in (False, True))
    assert read_w_matrix(blobs.local_path(small.file)).arrays["encoder"].dtype == np.int8
    assert small.quality.retention != whole.quality.retention
    require_that_the_file_earns_its_figures(small, session)


def test_a_distilled_map_is_measured_without_capturing_or_fitting_anything(session, monkeypatch) -> None:
    arrays = dict(read_w_matrix(blobs.local_path(generate_measured(ORDER, session).file)).arrays)
    weights = (session.weights(name).digest for name in (SOURCE, TARGET))
    kept = keep_map(arrays, Origin(*weights, {"distillation_steps": "7"}), cache=session.cache)
    monkeypatch.setattr("factory.recipes.functional.BROAD", session.corpus.name)
    monkeypatch.setattr(FactorySession, "suite", replace(session.suite, leaves_registers_out=True))
    monkeypatch.setattr(FactorySession, "pack", None)  # what would capture or fit fails
    made = generate_measured(replace(ORDER, distilled=True), session)
    assert all(cell.left_out is None for cell in made.quality.suite.cells)
    require_that_the_file_earns_its_figures(made, session)
    report = msgspec.json.decode(blobs.open_blob(made.report).read(), type=EvaluationReport, strict=False)
    assert report.settings["distilled_map"] == f"sha256:{kept.path.stem}"
    assert report.settings["distillation_steps"] == "7"


def test_what_writing_changes_is_judged_too(session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written as it is today, nothing is lost. Were it rounded, the figures would still be those of the file."""
    whole = generate_measured(ORDER, session)
    write = WMatrix.write
    monkeypatch.setattr(WMatrix, "write", lambda self, file: write(rounded(self), file))
    made = generate_measured(ORDER, session)
    assert made.quality.retention != whole.quality.retention
    require_that_the_file_earns_its_figures(made, session)


def rounded(w_matrix: WMatrix) -> WMatrix:
    """Return a W-Matrix of four-bit numbers, but for the models' own sinks; rounding it again changes nothing."""

    def four_bits(array: np.ndarray) -> np.ndarray:
        fraction, exponent = np.frexp(array)
        return np.ldexp(np.round(fraction * 16) / 16, exponent).astype(array.dtype)

    arrays = {name: array if "_bos" in name else four_bits(array) for name, array in w_matrix.arrays.items()}
    return WMatrix(w_matrix.document, arrays)
