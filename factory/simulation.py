"""A simulated latent source, for models whose weights are closed or absent. Its figures say nothing about the models.

Every model sees the same latent factors through a random linear map of its own, drawn from its name, plus noise. What a
fit on such rows reaches is a property of this simulation; it fills a catalogue with files of the right shape, and is
labelled `simulated` wherever it appears.
"""

import hashlib

import numpy as np

from latentmas.protocol.tensors import Array

FACTORS = 64
DECAY = 0.97  # of the factors' standard deviations: a few matter most, as in real activations
NOISE = 0.25  # standard deviation relative to the signal's
CALIBRATION_ROWS = 512


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
