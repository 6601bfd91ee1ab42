"""Make a W-Matrix from the simulated latent source. It is labelled `simulated` in its file, event, API and page."""

import functools as ft

import numpy as np

from factory import generated
from factory.alignment.standardise import standard_of
from factory.choices import Origin, assemble, metrics_of
from factory.generated import Generated
from factory.planner import Candidate, PlannedPair
from factory.row_quality import row_quality
from factory.simulation import CALIBRATION_ROWS, DECAY, FACTORS, NOISE, simulated_rows
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


def generate_simulated(pair: PlannedPair, *, version: str, test_samples: int) -> Generated:
    """Fit and judge a W-Matrix on simulated rows; its quality is a property of the simulation alone."""
    from factory.alignment.dual_ridge import dual_ridge

    (source, held_out), (target, truth) = (_latents(_shape(each), test_samples) for each in (pair.source, pair.target))
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
        version=version,
        source=ModelIdentity(pair.source.name, None),
        target=ModelIdentity(pair.target.name, None),
        token_alignment=TokenAlignment.NONE,
    )
    return generated.store(assemble(arrays, metrics_of(quality), origin), quality, settings=settings())


def unified_dimension(source: int, target: int) -> int:
    """Return 64, or less where two wide models would pass the size limit of a simulated file."""
    affordable = (MAX_FILE_BYTES - OVERHEAD_BYTES) // (FP16_BYTES * (source + target))
    return max(1, min(UNIFIED_DIMENSION, affordable))


def settings() -> dict[str, str]:
    """Return what the simulation was made of, for the report."""
    return {
        "source": "simulated latent factors; says nothing about the models named",
        "factors": str(FACTORS),
        "decay": str(DECAY),
        "noise": str(NOISE),
        "calibration_rows": str(CALIBRATION_ROWS),
        "ridge": str(RIDGE),
    }


def _shape(model: Candidate) -> tuple[str, int]:
    if model.latent_dimension is None:
        raise InvalidInput(f"no dimension of {model.name} is known, not even a documented one")
    return model.name, model.latent_dimension


@ft.lru_cache(maxsize=32)
def _latents(shape: tuple[str, int], test_samples: int) -> tuple[Array, Array]:
    """Return a model's calibration and held-out rows, the same for every pair it takes part in."""
    name, dimension = shape
    return (
        simulated_rows(name, dimension, rows=CALIBRATION_ROWS, seed=CALIBRATION_SEED),
        simulated_rows(name, dimension, rows=test_samples, seed=HELD_OUT_SEED),
    )
