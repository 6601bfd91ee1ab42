"""What the tokens that were read tell of the others: where the memory was wrong on them, it is wrong on their like.

The target's own rows of the tokens read are compared with what the memory held for them. The errors are carried over to
the other tokens by kernel ridge regression (a Gaussian process), by how alike two tokens' rows are: their cosine to the
third power. A constant error of each feature was tried and helps nothing.
"""

import numpy as np

from kvcache.rows import pack_rows, rows_in, unpack_rows
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

POWER = 3  # of the cosine
NOISE = 0.3  # of an error's own variance: what is not shared with any other token
LEAST = 8  # tokens read; fewer say nothing


def corrected(memory: KVSnapshot, read: KVSnapshot) -> KVSnapshot:
    """Return the memory with the errors that reading showed carried over to its tokens.

    `read` are tokens of the memory as the model cached them itself. A token that some layer lacks stays as it is.
    """
    frame, geometry = memory.frame, memory.frame.geometry
    first = max(1, *frame.starts) if frame.starts else 1
    positions = frame.positions[first:]
    known = np.isin(positions, read.frame.positions)
    if known.sum() < LEAST or known.all():
        return memory
    rows = pack_rows(memory.keys[:, first:], memory.values[:, first:], geometry=geometry, positions=positions)
    own = rows_in(read)[np.isin(read.frame.positions, positions)]
    rows[~known] += _carried_over(rows, known, own - rows[known])
    keys, values = memory.keys.copy(), memory.values.copy()
    changed = first + np.flatnonzero(~known)
    keys[:, changed], values[:, changed] = unpack_rows(rows[~known], geometry=geometry, positions=positions[~known])
    return KVSnapshot(frame, keys, values)


def _carried_over(rows: Array, known: Array, errors: Array) -> Array:
    """Return the expected errors `[others, width]` of the rows that are not known, from those of the known ones."""
    scale = rows.std(axis=0)
    standard = (rows - rows.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    alike = np.maximum(standard @ standard[known].T, 0.0) ** POWER
    weights = np.linalg.solve(alike[known] + NOISE * np.eye(len(errors), dtype=alike.dtype), errors)
    carried: Array = alike[~known] @ weights
    return carried
