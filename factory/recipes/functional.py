"""Make a W-Matrix between two models that can be run, measured with the target itself (basis `functional`).

Steps: calibration packs, closed-form fit, choice of du, correction, optional refinement, evaluation, stored files.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from awareness_sdk.first_layer import KNOWN_LAYERS
from factory.alignment.correction import fit_tokens_only
from factory.alignment.fit import LinearMap
from factory.corpora import BROAD, Split
from factory.measurement.arms import judged
from factory.measurement.evaluation import aligned_retention, bounds_of, mapped_by
from factory.measurement.journal import Journal
from factory.measurement.passages import Passage, require_enough
from factory.measurement.suite import Measured, measure, passages_in, reader
from factory.packs.pairs import require_same_corpus, target_rows
from factory.packs.spot_check import require_sink
from factory.recipes import results
from factory.recipes.assembly import (
    Origin,
    arrays_digest,
    assemble,
    read_back,
    sinks_of,
    smallest_good,
    with_quality,
)
from factory.recipes.closed_form import CORRECTION_ROWS, fit_its_correction, fit_map, known_width
from factory.recipes.forecast import FORECAST_TOKENS, Example, examples_of, fit_forecasts
from factory.recipes.left_out import LeftOut, with_left_out
from factory.recipes.results import Generated
from factory.refinement.descent import Refinement, refined
from factory.session import FactorySession
from kvcache.exchange.mapping import open_map, open_w_matrix
from kvcache.exchange.quality import calibrated, snapshot_distance
from latentmas.protocol.eight_bit import MATRICES, to_eight_bit
from latentmas.protocol.quality import Basis, Corpus, Quality, SuiteFigures
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION, Method, QualityMetrics, TokenAlignment, WMatrix

UNIFIED_DIMENSIONS = (512, 768, 1024)
CONTROL_TOKENS = 10_000  # that are captured for the tokens-only control where the packs are contributed
EVALUATION = "arms/3"  # changes whenever the same W-Matrix would get other scores on the same suite


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


def generate_measured(order: FunctionalOrder, session: FactorySession) -> Generated:
    """Fit a pair on the session's corpus and measure it on the session's evaluation suite with the real target model.

    Raises ModelNotSupported, InvalidInput (corpus or suite too small) or StorageUnavailable.
    """
    fitted = _fit(order, session)
    choices = _choices(order, session)
    trials = _try_dimensions(order, fitted, choices, session)
    dimension = smallest_good(trials)
    arrays = _corrected(fitted.truncated(dimension), order, session)
    fitted = replace(fitted, factor=None)  # half a gigabyte that only the correction needed
    if order.refinement is not None:
        arrays |= refined(arrays, order.refinement, session, source=order.source, target=order.target)
    arrays |= sinks_of(session.pack(order.source), session.pack(order.target))
    arrays = to_eight_bit(arrays) if order.eight_bit else arrays
    draft = _draft(arrays, order, choices, session, kept=trials[dimension])
    draft = _with_forecasts(draft, choices, order, session)
    require_sink(draft.arrays["source_bos"], session.model(order.source), field="source_bos")
    require_sink(draft.arrays["target_bos"], session.model(order.target), field="target_bos")
    measured = _measure(draft, fitted, order, session)
    require_enough(measured.documents, scored_tokens=order.test_samples)
    if session.suite.leaves_registers_out and session.corpus.name == BROAD:
        measured = replace(measured, figures=_left_out(measured, dimension, order, session))
    quality = _quality(measured, draft.arrays, session)
    return results.store(
        with_quality(draft, quality),
        quality,
        layers=measured.layers,
        documents=measured.documents,
        settings=_settings(fitted, trials, order),
    )


def _fit(order: FunctionalOrder, session: FactorySession) -> LinearMap:
    source, target = session.pack(order.source), session.pack(order.target)
    require_same_corpus(source, target)
    session.unload_models()
    return fit_map(
        (source, target),
        rank=order.unified_dimension or max(UNIFIED_DIMENSIONS),
        method=order.method,
        progress=session.stage(f"fit {order.source} -> {order.target}"),
    )


def _corrected(chosen: LinearMap, order: FunctionalOrder, session: FactorySession) -> dict[str, Array]:
    """Return the arrays of the map and of its correction."""
    session.unload_models()
    packs = session.pack(order.source), session.pack(order.target)
    progress = session.stage(f"correct {order.source} -> {order.target}")
    return chosen.arrays() | fit_its_correction(packs, chosen, progress=progress)


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
    metrics = QualityMetrics(Basis.FUNCTIONAL, kept, kept, _cost(arrays))
    return read_back(assemble(arrays, metrics, origin))


def _cost(arrays: Mapping[str, Array]) -> int:
    return sum(arrays[name].size for name in (*MATRICES, *CORRECTION))


def _measure(draft: WMatrix, fitted: LinearMap, order: FunctionalOrder, session: FactorySession) -> Measured:
    """Return the figures on the suite; passages that an interrupted run has scored are not scored again."""
    suite = session.suite
    width = known_width(session.pack(order.target))
    control = fit_tokens_only(_control_rows(order, session), standard=fitted.target, width=width)
    scores = results.inputs_digest(
        evaluation=EVALUATION,
        suite=suite.digest,
        w_matrix=arrays_digest(draft.arrays | {f"control_{name}": array for name, array in control.items()}),
        weights=(draft.document.source_weights, draft.document.target_weights),
    )
    return measure(
        judged(draft, tokens_only=control),
        suite,
        source=session.model(order.source),
        target=session.model(order.target),
        journal=Journal(session.cache / "scores" / f"{scores}.jsonl"),
        progress=session.stage(f"score {order.source} -> {order.target}"),
    )


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
    model, tokens = session.model(order.target), 0
    for document in session.corpus.part(Split.CALIBRATION):
        if tokens >= CONTROL_TOKENS:
            return
        ids = model.encode(document.text[: session.corpus.cut]).ids
        tokens += len(ids)
        yield model.capture(ids)[1:]


def _left_out(measured: Measured, dimension: int, order: FunctionalOrder, session: FactorySession) -> SuiteFigures:
    pair = LeftOut(order.source, order.target, dimension, order.method)
    packs = [session.pack(name).document for name in (order.source, order.target)]
    name = results.inputs_digest(
        left_out=EVALUATION,
        suite=session.suite.digest,
        documents=[pack.documents for pack in packs],
        weights=[pack.weights for pack in packs],
        pair=(pair.source, pair.target, pair.rank, pair.method.value),
    )
    journal = Journal(session.cache / "scores" / f"{name}.jsonl")
    return with_left_out(measured.figures, measured.documents, pair, session, journal=journal)


def _quality(measured: Measured, arrays: Mapping[str, Array], session: FactorySession) -> Quality:
    aligned = measured.retention.aligned
    layers = measured.layers
    corpus = session.corpus
    return Quality(
        basis=Basis.FUNCTIONAL,
        epsilon=min(max(1 - aligned.value, 0.0), 1.0),
        information_retention=aligned.value,
        cosine_similarity=float(np.mean([(each.key_cosine + each.value_cosine) / 2 for each in layers])),
        euclidean_distance=float(np.mean([(each.key_error + each.value_error) / 2 for each in layers])),
        computational_cost=_cost(arrays),
        test_samples=sum(each.scored_tokens for each in measured.documents),
        documents=len(measured.documents),
        confidence=aligned.low,
        retention=measured.retention,
        corpus=Corpus(corpus.name, corpus.digest, len(corpus.documents)),
        reread=measured.reread,
        suite=measured.figures,
    )


def _settings(fitted: LinearMap, trials: Mapping[int, float], order: FunctionalOrder) -> dict[str, str]:
    chosen_on = {f"selection_retention_at_du_{du}": f"{value:.4f}" for du, value in trials.items()}
    steps = 0 if order.refinement is None else order.refinement.steps
    fit = {"ridge": str(fitted.ridge), "calibration_rows": str(fitted.rows), "refinement_steps": str(steps)}
    fit |= {"known_layers": str(KNOWN_LAYERS)}
    return fit | chosen_on
