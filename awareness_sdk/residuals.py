"""What the tokens that were read tell of the others: where the memory was wrong on them, it is wrong on their like.

What the target itself caches of the tokens read is compared with what the memory held for them. The errors are carried
over to the other tokens by kernel ridge regression (a Gaussian process), by how alike two tokens' values are: their
cosine to the third power, over all layers. A constant error of each feature was tried and helps nothing.
"""

import numpy as np

from kvcache.kernels import rotary
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
    sink = int(frame.positions[0] == 0)
    tokens = np.arange(max(sink, *frame.starts), frame.tokens)
    is_read = np.isin(frame.positions[tokens], read.frame.positions)
    seen, others = tokens[is_read], tokens[~is_read]
    if len(seen) < LEAST or not len(others):
        return memory
    own = np.flatnonzero(np.isin(read.frame.positions, frame.positions[seen]))
    carry = _carry(memory.values, seen, others)
    there, here = (rotary.tables(frame.positions[part], geometry) for part in (seen, others))
    keys, values = memory.keys.copy(), memory.values.copy()
    for layer in range(geometry.layers):
        # Keys are alike, and wrong alike, before they are rotated at their positions; a rotation is linear.
        wrong = read.keys[layer, own] - memory.keys[layer, seen]
        rotary.turn(wrong.copy(), *there[layer], into=wrong, inverse=True)
        found = _carried(carry, wrong)
        rotary.turn(found.copy(), *here[layer], into=found)
        keys[layer, others] += found
        values[layer, others] += _carried(carry, read.values[layer, own] - memory.values[layer, seen])
    return KVSnapshot(frame, keys, values)


def _carry(values: Array, seen: Array, others: Array) -> Array:
    """Return `[others, seen]`: how much of each seen token's error is expected in each of the others."""
    between, among = _alike(values, seen, others)
    return np.linalg.solve(among + NOISE * np.eye(len(seen), dtype=among.dtype), between.T).T


def _alike(values: Array, seen: Array, others: Array) -> tuple[Array, Array]:
    """Return how alike the other tokens are to the seen ones `[others, seen]`, and these among themselves."""
    tokens = np.concatenate([seen, others])
    products = np.zeros((len(tokens), len(seen)), np.float32)
    squares = np.zeros(len(tokens), np.float32)
    for layer in values:
        rows = layer[tokens].reshape(len(tokens), -1).astype(np.float32)
        rows -= rows.mean(axis=0)
        scale = rows.std(axis=0)
        rows /= np.where(scale > 0, scale, 1.0)
        products += rows @ rows[: len(seen)].T
        squares += np.einsum("ij,ij->i", rows, rows)
    lengths = np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))
    cosines = products / lengths[:, None] / lengths[: len(seen)]
    alike = np.maximum(cosines, 0.0) ** POWER
    return alike[len(seen) :], alike[: len(seen)]


def _carried(carry: Array, wrong: Array) -> Array:
    """Return the errors `[others, heads, dim]` that are expected, from those of the seen tokens."""
    expected: Array = (carry @ wrong.reshape(len(wrong), -1)).reshape(-1, *wrong.shape[1:])
    return expected
