"""How well rows are predicted, where no target model reads them."""

import numpy as np

from latentmas.protocol.quality import Basis, Quality
from latentmas.protocol.tensors import Array


def row_quality(predicted: Array, truth: Array, *, basis: Basis, cost: int) -> Quality:
    """Return the figures of predictions `[rows, width]` against the truth; `cost` is multiply-adds a row.

    Information retention is 1 - sum |predicted - true|^2 / sum |true|^2.
    """
    lengths, errors = np.linalg.norm(truth, axis=1), np.linalg.norm(predicted - truth, axis=1)
    cosines = (predicted * truth).sum(axis=1) / (np.linalg.norm(predicted, axis=1) * lengths)
    retained = float(1 - np.square(errors, dtype=np.float64).sum() / np.square(lengths, dtype=np.float64).sum())
    return Quality(
        basis=basis,
        epsilon=min(max(1 - retained, 0.0), 1.0),
        information_retention=retained,
        cosine_similarity=float(cosines.mean()),
        euclidean_distance=float((errors / lengths).mean()),
        computational_cost=cost,
        test_samples=len(truth),
        documents=0,
    )
