"""Make a W-Matrix between two models that can be run, measured with the target itself (basis `functional`).

Steps: calibration packs, closed-form fit, choice of du, correction, optional refinement, evaluation, stored files.
"""

import functools as ft
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from factory.alignment.correction import fit_correction
from factory.alignment.fit import LinearMap, fit_linear_map
from factory.corpora import Split
from factory.measurement.evaluation import Evaluation, aligned_retention, bounds_of, evaluate, handed_over, mapped_by
from factory.measurement.passages import Passage, passages_for, read_passages, require_enough
from factory.packs.pairs import paired_documents, paired_rows, require_same_corpus
from factory.recipes import results
from factory.recipes.assembly import (
    RIDGE,
    Origin,
    assemble,
    read_back,
    sinks_of,
    smallest_good,
    with_quality,
)
from factory.recipes.results import Generated
from factory.refinement.descent import Refinement, refined
from factory.runners.model import RunningModel
from factory.session import FactorySession
from kvcache.exchange.mapping import open_map, open_w_matrix
from kvcache.exchange.quality import calibrated, snapshot_distance
from latentmas.protocol.eight_bit import MATRICES, to_eight_bit
from latentmas.protocol.quality import REREAD_TOKENS, Basis, Corpus, Interval, Quality
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION, Method, QualityMetrics, TokenAlignment, WMatrix

UNIFIED_DIMENSIONS = (256, 512, 768)
SELECTION_PASSAGES = 16
HELD_OUT_PASSAGES = 40


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
    """Fit a pair and measure it on held-out documents of the session's corpus with the real target model.

    Raises ModelNotSupported, InvalidInput (corpus too small) or StorageUnavailable.
    """
    fitted = _fit(order, session)
    choices = _passages(order, session, Split.SELECTION, SELECTION_PASSAGES)
    trials = _try_dimensions(order, fitted, choices, session)
    dimension = smallest_good(trials)
    chosen = fitted.truncated(dimension)
    arrays = chosen.arrays() | _correction(chosen.arrays(), order, session)
    if order.refinement is not None:
        arrays |= refined(arrays, order.refinement, session, source=order.source, target=order.target)
    arrays |= sinks_of(session.pack(order.source), session.pack(order.target))
    arrays = to_eight_bit(arrays) if order.eight_bit else arrays
    draft = _draft(arrays, order, choices, session, kept=trials[dimension])
    wanted = max(HELD_OUT_PASSAGES, passages_for(order.test_samples))
    passages = _passages(order, session, Split.HELD_OUT, wanted)
    require_enough(passages, scored_tokens=order.test_samples)
    session.unload_models(keep=order.target)
    evaluation = evaluate(
        draft,
        passages,
        target=session.model(order.target),
        progress=session.stage(f"score {order.source} -> {order.target}"),
    )
    plain, reread = _other_ways(draft, passages, evaluation, session.model(order.target))
    quality = replace(_quality(evaluation, draft.arrays, session), uncorrected=plain, reread=reread)
    return results.store(
        with_quality(draft, quality),
        quality,
        layers=evaluation.layers,
        documents=evaluation.documents,
        settings=_settings(fitted, trials, order),
    )


def _fit(order: FunctionalOrder, session: FactorySession) -> LinearMap:
    source, target = session.pack(order.source), session.pack(order.target)
    require_same_corpus(source, target)
    session.unload_models()
    return fit_linear_map(
        lambda: paired_rows(source, target, Split.CALIBRATION),
        penalty=RIDGE,
        rank=order.unified_dimension or max(UNIFIED_DIMENSIONS),
        method=order.method,
        progress=session.stage(f"fit {order.source} -> {order.target}"),
    )


def _try_dimensions(
    order: FunctionalOrder, fitted: LinearMap, passages: list[Passage], session: FactorySession
) -> dict[int, float]:
    """Return the retention on the selection documents for each candidate du."""
    dimensions = UNIFIED_DIMENSIONS if order.unified_dimension is None else (order.unified_dimension,)
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


def _passages(order: FunctionalOrder, session: FactorySession, split: Split, wanted: int) -> list[Passage]:
    return read_passages(
        session.corpus.part(split),
        source=session.model(order.source),
        target=session.model(order.target),
        wanted=wanted,
        progress=session.stage(f"read {split.value} documents"),
    )


def _correction(arrays: Mapping[str, Array], order: FunctionalOrder, session: FactorySession) -> dict[str, Array]:
    source, target = session.pack(order.source), session.pack(order.target)
    documents = paired_documents(source, target, Split.CALIBRATION)
    return fit_correction(documents, arrays, width=target.of_cache()[0].layer_width)


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


def _other_ways(
    w_matrix: WMatrix, passages: list[Passage], evaluation: Evaluation, target: RunningModel
) -> tuple[Interval, Interval]:
    """Return the retention without the correction, and with the last REREAD_TOKENS tokens read by the target itself."""
    opened = open_w_matrix(w_matrix)
    bounds = [(each.nll["nothing"], each.nll["own"]) for each in evaluation.documents]
    judge = ft.partial(aligned_retention, passages=passages, target=target, bounds=bounds)
    return (
        judge(handed_over(opened, by_tokens=False)),
        judge(handed_over(opened, leave=REREAD_TOKENS), leave=REREAD_TOKENS),
    )


def _quality(evaluation: Evaluation, arrays: Mapping[str, Array], session: FactorySession) -> Quality:
    aligned = evaluation.retention.aligned
    layers = evaluation.layers
    corpus = session.corpus
    return Quality(
        basis=Basis.FUNCTIONAL,
        epsilon=min(max(1 - aligned.value, 0.0), 1.0),
        information_retention=aligned.value,
        cosine_similarity=float(np.mean([(each.key_cosine + each.value_cosine) / 2 for each in layers])),
        euclidean_distance=float(np.mean([(each.key_error + each.value_error) / 2 for each in layers])),
        computational_cost=_cost(arrays),
        test_samples=sum(each.scored_tokens for each in evaluation.documents),
        documents=len(evaluation.documents),
        confidence=aligned.low,
        retention=evaluation.retention,
        corpus=Corpus(corpus.name, corpus.digest, len(corpus.documents)),
    )


def _settings(fitted: LinearMap, trials: Mapping[int, float], order: FunctionalOrder) -> dict[str, str]:
    chosen_on = {f"selection_retention_at_du_{du}": f"{value:.4f}" for du, value in trials.items()}
    steps = 0 if order.refinement is None else order.refinement.steps
    fit = {"ridge": str(fitted.ridge), "calibration_rows": str(fitted.rows), "refinement_steps": str(steps)}
    return fit | chosen_on
