"""Draft a W-Matrix between two models that can be run: everything up to the file that is to be measured.

Steps: calibration packs, closed-form fit, choice of du, correction, optional refinement, forecasts, the control.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from awareness_sdk.first_layer import KNOWN_LAYERS
from factory.alignment.correction import fit_tokens_only
from factory.alignment.fit import LinearMap, PairStatistics
from factory.corpora import Split
from factory.measurement.control import captured_rows, known_width
from factory.measurement.evaluation import aligned_retention, bounds_of, mapped_by
from factory.measurement.passages import Passage
from factory.measurement.suite import passages_in, reader
from factory.packs.pairs import require_same_corpus, target_rows
from factory.packs.spot_check import require_sink
from factory.recipes.assembly import Origin, assemble, read_back, sinks_of, smallest_good
from factory.recipes.closed_form import CORRECTION_ROWS, fit_its_correction, fit_map
from factory.recipes.forecast import FORECAST_TOKENS, Example, examples_of, fit_forecasts
from factory.refinement.descent import Refinement, refined
from factory.session import FactorySession
from kvcache.exchange.mapping import open_map, open_w_matrix
from kvcache.exchange.quality import calibrated, snapshot_distance
from latentmas import blobs
from latentmas.protocol import tensors
from latentmas.protocol.eight_bit import MATRICES, to_eight_bit
from latentmas.protocol.quality import Basis
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION, Method, QualityMetrics, TokenAlignment, WMatrix, read_w_matrix

UNIFIED_DIMENSIONS = (512, 768, 1024)
MAX_BYTES = 1 << 30  # of a file of a draft


@dataclass(frozen=True, slots=True)
class FunctionalOrder:
    """A W-Matrix to make. `unified_dimension` None: chosen on the selection documents.

    `refinement` adds gradient steps on the target's own loss; `eight_bit` stores int8 matrices, half the file size.
    """

    source: str
    target: str
    version: str
    test_samples: int
    unified_dimension: int | None = None
    method: Method = Method.LEARNED
    refinement: Refinement | None = None
    eight_bit: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A W-Matrix as read back from its file, with provisional metrics, and what is needed to measure and record it."""

    w_matrix: WMatrix
    control: dict[str, Array]  # the map of the target's tokens alone
    dimension: int
    settings: dict[str, str]


def drafted(order: FunctionalOrder, session: FactorySession, *, statistics: PairStatistics | None = None) -> Draft:
    """Fit a pair on the session's corpus; `statistics` of its packs are taken where they are given.

    Raises ModelNotSupported, InvalidInput (corpus too small, a pack's sink is not the model's) or StorageUnavailable.
    """
    fitted = _fit(order, session, statistics)
    choices = _choices(order, session)
    trials = _try_dimensions(order, fitted, choices, session)
    dimension = smallest_good(trials)
    arrays = _corrected(fitted.truncated(dimension), order, session)
    fitted = replace(fitted, factor=None)  # half a gigabyte that only the correction needed
    if order.refinement is not None:
        arrays |= refined(arrays, order.refinement, session, source=order.source, target=order.target)
    arrays |= sinks_of(session.pack(order.source), session.pack(order.target))
    arrays = to_eight_bit(arrays) if order.eight_bit else arrays
    w_matrix = _with_forecasts(_draft(arrays, order, choices, session, kept=trials[dimension]), choices, order, session)
    require_sink(w_matrix.arrays["source_bos"], session.model(order.source), field="source_bos")
    require_sink(w_matrix.arrays["target_bos"], session.model(order.target), field="target_bos")
    width = known_width(session.pack(order.target).of_cache()[0])
    control = fit_tokens_only(_control_rows(order, session), standard=fitted.target, width=width)
    return Draft(w_matrix, control, dimension, _settings(fitted, trials, order))


def store_draft(draft: Draft) -> dict[str, Any]:
    """Store a draft's files and return what `load_draft` takes. Raises StorageUnavailable."""
    document = {"dimension": draft.dimension, "settings": draft.settings}
    return {
        "w_matrix": blobs.put(draft.w_matrix.write),
        "beside": blobs.put(lambda file: tensors.write(file, draft.control, document)),
    }


def load_draft(stored: Mapping[str, Any]) -> Draft:
    """Return a stored draft. Raises NotFound where a file is gone."""
    beside = tensors.open_tensors(blobs.local_path(stored["beside"]), max_bytes=MAX_BYTES)
    control = {name: beside.read(name) for name in beside.tensors}
    document: Any = beside.document
    w_matrix = read_w_matrix(blobs.local_path(stored["w_matrix"]), max_bytes=MAX_BYTES)
    return Draft(w_matrix, control, int(document["dimension"]), dict(document["settings"]))


def cost_of(arrays: Mapping[str, Array]) -> int:
    """Return the multiply-adds that a token takes."""
    return sum(arrays[name].size for name in (*MATRICES, *CORRECTION))


def _fit(order: FunctionalOrder, session: FactorySession, statistics: PairStatistics | None) -> LinearMap:
    source, target = session.pack(order.source), session.pack(order.target)
    require_same_corpus(source, target)
    session.unload_models()
    return fit_map(
        (source, target),
        rank=order.unified_dimension or max(UNIFIED_DIMENSIONS),
        method=order.method,
        progress=session.stage(f"fit {order.source} -> {order.target}"),
        statistics=statistics,
    )


def _choices(order: FunctionalOrder, session: FactorySession) -> list[Passage]:
    """Return the selection passages of all registers, the shortest first, read by both models."""
    models = session.model(order.source), session.model(order.target)
    read = reader(*models, continuation=FORECAST_TOKENS)
    cells = session.selection
    progress = session.stage(f"read {Split.SELECTION.value} documents")
    found: list[Passage] = []
    for number, cell in enumerate(cells):
        progress(number, len(cells))
        found += passages_in(cell, read)
    progress(len(cells), len(cells))
    return found


def _try_dimensions(
    order: FunctionalOrder, fitted: LinearMap, passages: list[Passage], session: FactorySession
) -> dict[int, float]:
    """Return the retention on the selection documents for each candidate du."""
    dimensions = UNIFIED_DIMENSIONS if order.unified_dimension is None else (order.unified_dimension,)
    shortest = min(len(each.context) for each in passages)
    passages = [each for each in passages if len(each.context) < 2 * shortest]
    target = session.model(order.target)
    progress = session.stage(f"choose du for {order.source} -> {order.target}")
    bounds = bounds_of(passages, target=target)
    trials = {}
    for number, dimension in enumerate(dimensions):
        progress(number, len(dimensions))
        memory = mapped_by(open_map(fitted.truncated(dimension).arrays()))
        trials[dimension] = aligned_retention(memory, passages, target=target, bounds=bounds).value
    progress(len(dimensions), len(dimensions))
    return trials


def _corrected(chosen: LinearMap, order: FunctionalOrder, session: FactorySession) -> dict[str, Array]:
    """Return the arrays of the map and of its correction."""
    session.unload_models()
    packs = session.pack(order.source), session.pack(order.target)
    progress = session.stage(f"correct {order.source} -> {order.target}")
    return chosen.arrays() | fit_its_correction(packs, chosen, progress=progress)


def _draft(
    arrays: Mapping[str, Array], order: FunctionalOrder, choices: list[Passage], session: FactorySession, *, kept: float
) -> WMatrix:
    """Return the W-Matrix to evaluate, read back from its file.

    Its metrics are provisional: the retention `kept` on the selection documents.
    """
    latent_map = open_map(arrays)
    source, target = session.pack(order.source), session.pack(order.target)
    origin = Origin(
        version=order.version,
        source=source.identity,
        target=target.identity,
        method=order.method,
        token_alignment=TokenAlignment.CAUSAL_SPANS,
        geometries=(source.of_cache()[0], target.of_cache()[0]),
        distribution=calibrated([snapshot_distance(passage.source_rows, latent_map) for passage in choices]),
    )
    metrics = QualityMetrics(Basis.FUNCTIONAL, kept, kept, cost_of(arrays))
    return read_back(assemble(arrays, metrics, origin))


def _with_forecasts(draft: WMatrix, choices: list[Passage], order: FunctionalOrder, session: FactorySession) -> WMatrix:
    """Return the W-Matrix with what its document says of single memories."""
    opened, target = open_w_matrix(draft, explain=True), session.model(order.target)
    progress = session.stage(f"forecast {order.source} -> {order.target}")
    examples: list[Example] = []
    for number, passage in enumerate(choices):
        progress(number, len(choices))
        examples += examples_of(passage, opened, target=target)
    progress(len(choices), len(choices))
    return WMatrix(replace(draft.document, forecasts=fit_forecasts(examples)), draft.arrays)


def _control_rows(order: FunctionalOrder, session: FactorySession) -> Iterator[Array]:
    """Yield the target's calibration rows `[n, dt]`, captured here: the certificate rests on the control, too.

    They are those of the first documents, as many as the correction is fitted on.
    """
    if order.target not in session.packs:
        rows = 0
        for found in target_rows(session.pack(order.target), Split.CALIBRATION):
            if rows >= CORRECTION_ROWS:
                return
            rows += len(found)
            yield found
        return
    yield from captured_rows(session.model(order.target), session.corpus)


def _settings(fitted: LinearMap, trials: Mapping[int, float], order: FunctionalOrder) -> dict[str, str]:
    chosen_on = {f"selection_retention_at_du_{du}": f"{value:.4f}" for du, value in trials.items()}
    steps = 0 if order.refinement is None else order.refinement.steps
    fit = {"ridge": str(fitted.ridge), "calibration_rows": str(fitted.rows), "refinement_steps": str(steps)}
    fit |= {"known_layers": str(KNOWN_LAYERS)}
    return fit | chosen_on
