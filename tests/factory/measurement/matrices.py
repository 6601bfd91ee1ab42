"""W-Matrices from a tiny model to itself under another name."""

from dataclasses import replace

import numpy as np

from factory.runners.model import RunningModel
from latentmas.protocol.w_matrix import CORRECTION, WMatrix
from tests.kvcache.exchange.sample import w_matrix

SOURCE = "alpha"  # the same model under another name
LAGS, RANK, STRENGTH = 2, 8, 0.1  # of a correction that nobody fitted


def identity(model: RunningModel) -> WMatrix:
    """Every row as it is, and the model's own sink in front."""
    bos = model.capture(())[0]
    made = w_matrix(
        model.geometry, model.geometry, models=(SOURCE, model.name), arrays={"source_bos": bos, "target_bos": bos}
    )
    return WMatrix(replace(made.document, source_weights=model.weights), made.arrays)


def halved(model: RunningModel) -> WMatrix:
    """Half of every row."""
    whole = identity(model)
    return WMatrix(whole.document, whole.arrays | {"decoder": whole.arrays["decoder"] / 2})


def noise(model: RunningModel) -> dict[str, np.ndarray]:
    """A correction's two arrays, of small random numbers."""
    generator, geometry = np.random.default_rng(0), model.geometry
    shapes = (LAGS, geometry.layer_width, RANK), (RANK, geometry.width)
    return {
        name: (STRENGTH * generator.normal(size=shape)).astype(np.float32)
        for name, shape in zip(CORRECTION, shapes, strict=True)
    }


def with_arrays(w_matrix: WMatrix, arrays: dict[str, np.ndarray]) -> WMatrix:
    """The W-Matrix with further arrays."""
    both = w_matrix.arrays | arrays
    return WMatrix(replace(w_matrix.document, transformation_rules={name: name for name in sorted(both)}), both)
