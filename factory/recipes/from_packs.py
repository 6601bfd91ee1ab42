"""Make a W-Matrix from two calibration packs without running either model (basis `activation` or `declared`).

Closed-form fit on the calibration rows, du chosen on the selection rows, figures measured on the held-out rows. A
closed model can take part as soon as its owner contributes a pack.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from factory.alignment.fit import LinearMap, fit_linear_map
from factory.alignment.sketched import fit_sketched
from factory.corpora import Split
from factory.measurement.activation import Judgement, information_retention, judge
from factory.measurement.instrument import ROWS, instrument_of
from factory.packs.pack import OpenedPack
from factory.packs.pairs import paired_rows
from factory.progress import Stage
from factory.recipes import results
from factory.recipes.assembly import RIDGE, Origin, assemble, metrics_of, sinks_of, smallest_good
from factory.recipes.results import Generated
from kvcache.exchange.mapping import open_map
from kvcache.exchange.quality import calibrated, snapshot_distance
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Distribution, Method, TokenAlignment

UNIFIED_DIMENSIONS = (256, 512, 1024)
FULL_GRAM = 24_576  # the widest source whose Gram matrix is made: 4.8 GB; beyond it the fit is sketched
DISTANCE_DOCUMENTS = 64  # whose distances give the bounds of the distribution


@dataclass(frozen=True, slots=True)
class FromPacks:
    """A fitted and judged W-Matrix that only lacks its version."""

    source: OpenedPack
    target: OpenedPack
    method: Method
    arrays: Mapping[str, Array]
    distribution: Distribution
    judgement: Judgement
    settings: Mapping[str, str]


def fit_packs(
    source: OpenedPack,
    target: OpenedPack,
    *,
    method: Method,
    unified_dimension: int | None,
    basis: Basis,
    stage: Stage,
) -> FromPacks:
    """Fit, choose du on the selection documents unless it is given, and judge on the held-out ones.

    `basis` says what the packs' held-out rows rest on: `activation`, or `declared` where somebody else sent them.
    Raises InvalidInput for a rank above the width or the number of rows, or packs that share too little text.
    """
    fitted = _fit(source, target, method=method, unified_dimension=unified_dimension, stage=stage)
    largest = fitted.encoder.shape[1]
    dimensions = [unified_dimension or largest]
    if unified_dimension is None:
        dimensions = sorted({min(each, largest) for each in UNIFIED_DIMENSIONS})
    trials = {}
    if len(dimensions) > 1:
        progress = stage("choose the unified dimension")
        for number, dimension in enumerate(dimensions):
            progress(number, len(dimensions))
            arrays = fitted.truncated(dimension).arrays()
            trials[dimension] = information_retention(arrays, source, target, Split.SELECTION)
        progress(len(dimensions), len(dimensions))
    arrays = fitted.truncated(smallest_good(trials) if trials else dimensions[0]).arrays()
    arrays |= sinks_of(source, target)
    return FromPacks(
        source=source,
        target=target,
        method=method,
        arrays=arrays,
        distribution=distribution_of(arrays, source),
        judgement=judge(arrays, source, target, basis=basis, progress=stage("judge on held-out rows")),
        settings=_settings(fitted, trials),
    )


def store(made: FromPacks, *, version: str, provenance: Mapping[str, str]) -> Generated:
    """Give the W-Matrix its version and store its files, `provenance` in its report. Raises StorageUnavailable."""
    judgement = made.judgement
    interval, control = judgement.information_retention, judgement.random_w
    figures = {
        "information_retention_interval": f"[{interval.low:.4f}, {interval.high:.4f}]",
        "information_retention_of_random_w": f"{control.value:.4f}",
    }
    origin = Origin(
        version=version,
        source=made.source.identity,
        target=made.target.identity,
        method=made.method,
        token_alignment=TokenAlignment.CAUSAL_SPANS,
        geometries=(made.source.of_cache()[0], made.target.of_cache()[0]),
        distribution=made.distribution,
    )
    return results.store(
        assemble(made.arrays, metrics_of(judgement.quality), origin),
        judgement.quality,
        layers=judgement.layers,
        settings={**provenance, **made.settings, **figures},
        instrument=instrument_of(ROWS),
    )


def distribution_of(arrays: Mapping[str, Array], source: OpenedPack) -> Distribution:
    """Return the range of `snapshot_distance` over up to 64 documents, those of selection before calibration."""
    latent_map = open_map(arrays)
    indices = [*source.indices(Split.SELECTION).values(), *source.indices(Split.CALIBRATION).values()]
    chosen = itertools.islice(indices, DISTANCE_DOCUMENTS)
    return calibrated([snapshot_distance(source.rows(index)[1:], latent_map) for index in chosen])


def _fit(
    source: OpenedPack, target: OpenedPack, *, method: Method, unified_dimension: int | None, stage: Stage
) -> LinearMap:
    ds, dt = source.document.width, target.document.width
    progress = stage("fit")
    rank = unified_dimension or min(max(UNIFIED_DIMENSIONS), ds, dt)
    if ds <= FULL_GRAM:
        return fit_linear_map(
            lambda: paired_rows(source, target, Split.CALIBRATION),
            method=method,
            penalty=RIDGE,
            rank=rank,
            progress=progress,
        )
    if method is not Method.LEARNED:
        raise InvalidInput(
            f"the source is {ds} wide; beyond {FULL_GRAM} only the method 'learned' is offered", field="method"
        )
    return fit_sketched(
        lambda: paired_rows(source, target, Split.CALIBRATION), penalty=RIDGE, rank=rank, progress=progress
    )


def _settings(fitted: LinearMap, trials: Mapping[int, float]) -> dict[str, str]:
    chosen_on = {f"selection_information_retention_at_du_{du}": f"{kept:.4f}" for du, kept in trials.items()}
    return {"ridge": str(fitted.ridge), "calibration_rows": str(fitted.rows), **chosen_on}
