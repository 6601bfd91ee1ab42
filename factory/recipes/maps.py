"""Where the map of a draft comes from: fitted and refined here, or distilled before."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from factory.alignment.fit import LinearMap, PairStatistics
from factory.corpora import Split
from factory.distillation.maps import DistilledMap
from factory.measurement.evaluation import aligned_retention, bounds_of, mapped_by
from factory.measurement.passages import Passage
from factory.measurement.suite import passages_in, reader
from factory.packs.pairs import require_same_corpus
from factory.recipes.assembly import sinks_of, smallest_good
from factory.recipes.closed_form import CorrectionShape, fit_its_correction, fit_map
from factory.recipes.forecast import FORECAST_TOKENS
from factory.refinement.descent import Refinement, refined
from factory.session import FactorySession
from kvcache.exchange.mapping import open_map
from latentmas.protocol.eight_bit import to_eight_bit
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Method

UNIFIED_DIMENSIONS = (512, 768, 1024)


@dataclass(frozen=True, slots=True)
class FunctionalOrder:
    """A W-Matrix to make. `unified_dimension` None: chosen on the selection documents.

    `refinement` adds gradient steps on the target's own loss; `eight_bit` stores int8 matrices, half the file size.
    `distilled` takes the map that was distilled for just these weights, where there is one; then nothing is fitted, and
    the settings above do not matter.
    """

    source: str
    target: str
    version: str
    test_samples: int
    unified_dimension: int | None = None
    method: Method = Method.LEARNED
    refinement: Refinement | None = None
    eight_bit: bool = False
    correction: CorrectionShape = field(default_factory=CorrectionShape)
    distilled: bool = False


@dataclass(frozen=True, slots=True)
class Mapped:
    """A map before it is measured: all arrays of its file, how it was made, and what it was chosen on.

    `kept` is its retention on the shortest of the selection passages, without the target's tokens.
    """

    arrays: dict[str, Array]
    passages: list[Passage]
    kept: float
    settings: dict[str, str]


def distilled_map(order: FunctionalOrder, session: FactorySession) -> DistilledMap | None:
    """Return the distilled map that the order takes: then no pack is captured and nothing is fitted."""
    return session.distilled_map(order.source, order.target) if order.distilled else None


def map_of(order: FunctionalOrder, session: FactorySession, *, statistics: PairStatistics | None) -> Mapped:
    """Return the order's map. `statistics` of its packs are used up where they are given.

    Raises ModelNotSupported, InvalidInput or StorageUnavailable.
    """
    found = distilled_map(order, session)
    if found is None:
        return _fitted(order, session, statistics)
    arrays, passages = found.read(), _choices(order, session)
    dimension = len(arrays["latent_scale"])
    trials = _trials(order, {dimension: arrays}, passages, session)
    settings = {"distilled_map": f"sha256:{found.path.stem}", **found.origin.settings, **_named(trials)}
    return Mapped(arrays, passages, trials[dimension], settings)


def _fitted(order: FunctionalOrder, session: FactorySession, statistics: PairStatistics | None) -> Mapped:
    fitted = _fit(order, session, statistics)
    passages = _choices(order, session)
    dimensions = UNIFIED_DIMENSIONS if order.unified_dimension is None else (order.unified_dimension,)
    candidates = {each: fitted.truncated(each).arrays() for each in dimensions}
    trials = _trials(order, candidates, passages, session)
    dimension = smallest_good(trials)
    arrays = candidates[dimension] | _correction(fitted.truncated(dimension), order, session)
    fitted = replace(fitted, factor=None)  # half a gigabyte that only the correction needed
    if order.refinement is not None:
        arrays |= refined(arrays, order.refinement, session, source=order.source, target=order.target)
    arrays |= sinks_of(session.pack(order.source), session.pack(order.target))
    settings = {
        "ridge": str(fitted.ridge),
        "calibration_rows": str(fitted.rows),
        "refinement_steps": str(0 if order.refinement is None else order.refinement.steps),
        "known_layers": str(order.correction.known_layers),
    }
    arrays = to_eight_bit(arrays) if order.eight_bit else arrays
    return Mapped(arrays, passages, trials[dimension], settings | _named(trials))


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


def _trials(
    order: FunctionalOrder,
    candidates: Mapping[int, Mapping[str, Array]],
    passages: list[Passage],
    session: FactorySession,
) -> dict[int, float]:
    """Return the retention on the shortest selection passages for the map of each du."""
    shortest = min(len(each.context) for each in passages)
    passages = [each for each in passages if len(each.context) < 2 * shortest]
    target = session.model(order.target)
    progress = session.stage(f"choose du for {order.source} -> {order.target}")
    bounds = bounds_of(passages, target=target)
    trials = {}
    for number, (dimension, arrays) in enumerate(candidates.items()):
        progress(number, len(candidates))
        trials[dimension] = aligned_retention(mapped_by(open_map(arrays)), passages, target=target, bounds=bounds).value
    progress(len(candidates), len(candidates))
    return trials


def _correction(chosen: LinearMap, order: FunctionalOrder, session: FactorySession) -> dict[str, Array]:
    session.unload_models()
    packs = session.pack(order.source), session.pack(order.target)
    progress = session.stage(f"correct {order.source} -> {order.target}")
    return fit_its_correction(packs, chosen, progress=progress, shape=order.correction)


def _named(trials: Mapping[int, float]) -> dict[str, str]:
    return {f"selection_retention_at_du_{du}": f"{value:.4f}" for du, value in trials.items()}
