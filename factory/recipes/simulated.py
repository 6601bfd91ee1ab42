"""Make a W-Matrix from a simulated latent source, for models whose weights are closed or absent.

Every model sees the same latent factors through a random linear map of its own, drawn from its name, plus noise. What a
fit on such rows reaches is a property of this simulation and says nothing about the models: it fills a catalogue with
files of the right shape, and is labelled `simulated` in its file, event, API and page.
"""

import functools as ft
import hashlib
from dataclasses import dataclass

import numpy as np

from factory.alignment.standardise import standard_of
from factory.measurement.metrics import row_quality
from factory.recipes import results
from factory.recipes.assembly import Origin, assemble, metrics_of
from factory.recipes.results import Generated
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis, ModelIdentity
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import TokenAlignment

UNIFIED_DIMENSION = 64
MAX_FILE_BYTES = 2_000_000
OVERHEAD_BYTES = 200_000  # means, scales and the header
FP16_BYTES = 2
RIDGE = 0.1
CALIBRATION_SEED, HELD_OUT_SEED = 1, 2
FACTORS = 64
DECAY = 0.97  # of the factors' standard deviations: a few matter most, as in real activations
NOISE = 0.25  # standard deviation relative to the signal's
CALIBRATION_ROWS = 512


@dataclass(frozen=True, slots=True)
class SimulatedOrder:
    """Two models by name, and the width of a latent of each; None: not documented."""

    source: str
    target: str
    source_dimension: int | None
    target_dimension: int | None
    version: str
    test_samples: int


def generate_simulated(order: SimulatedOrder) -> Generated:
    """Fit and judge a W-Matrix on simulated rows; its quality is a property of the simulation alone."""
    from factory.alignment.ridge import dual_ridge

    named = ((order.source, order.source_dimension), (order.target, order.target_dimension))
    (source, held_out), (target, truth) = (_latents(*_known(*each), order.test_samples) for each in named)
    ours, theirs = standard_of(source), standard_of(target)
    rank = unified_dimension(source.shape[1], target.shape[1])
    matrices = dual_ridge(ours.apply(source), theirs.apply(target), ridge=RIDGE, rank=rank)
    encoder, decoder = (np.asarray(matrix).astype(np.float16) for matrix in matrices)
    predicted = ours.apply(held_out) @ encoder.astype(np.float32) @ decoder.astype(np.float32)
    quality = row_quality(predicted, theirs.apply(truth), basis=Basis.SIMULATED, cost=encoder.size + decoder.size)
    arrays = {
        "encoder": encoder,
        "decoder": decoder,
        "source_mean": ours.mean,
        "source_scale": ours.scale,
        "target_mean": theirs.mean,
        "target_scale": theirs.scale,
    }
    origin = Origin(
        version=order.version,
        source=ModelIdentity(order.source, None),
        target=ModelIdentity(order.target, None),
        token_alignment=TokenAlignment.NONE,
    )
    return results.store(assemble(arrays, metrics_of(quality), origin), quality, settings=settings())


def unified_dimension(source: int, target: int) -> int:
    """Return 64, or less where two wide models would pass the size limit of a simulated file."""
    affordable = (MAX_FILE_BYTES - OVERHEAD_BYTES) // (FP16_BYTES * (source + target))
    return max(1, min(UNIFIED_DIMENSION, affordable))


def settings() -> dict[str, str]:
    """Return the simulation's parameters, for the report."""
    return {
        "source": "simulated latent factors; says nothing about the models named",
        "factors": str(FACTORS),
        "decay": str(DECAY),
        "noise": str(NOISE),
        "calibration_rows": str(CALIBRATION_ROWS),
        "ridge": str(RIDGE),
    }


def _known(name: str, dimension: int | None) -> tuple[str, int]:
    if dimension is None:
        raise InvalidInput(f"no dimension of {name} is known, not even a documented one")
    return name, dimension


@ft.lru_cache(maxsize=32)
def _latents(name: str, dimension: int, test_samples: int) -> tuple[Array, Array]:
    """Return a model's calibration and held-out rows, the same for every pair it takes part in."""
    return (
        simulated_rows(name, dimension, rows=CALIBRATION_ROWS, seed=CALIBRATION_SEED),
        simulated_rows(name, dimension, rows=test_samples, seed=HELD_OUT_SEED),
    )


def simulated_rows(model: str, dimension: int, *, rows: int, seed: int) -> Array:
    """Return `[rows, dimension]` float32 latents of a model; the same seed gives every model the same factors."""
    factors = np.random.default_rng(seed).normal(size=(rows, FACTORS)) * DECAY ** np.arange(FACTORS)
    own = np.random.default_rng(_seed_of(model))
    signal = factors @ own.normal(size=(FACTORS, dimension))
    noise = np.random.default_rng([seed, _seed_of(model)]).normal(size=signal.shape)
    rows_of_model: Array = (signal + NOISE * signal.std() * noise).astype(np.float32)
    return rows_of_model


def _seed_of(model: str) -> int:
    return int.from_bytes(hashlib.sha256(model.encode()).digest()[:8], "big")
