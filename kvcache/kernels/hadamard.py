"""A fixed orthogonal rotation that spreads a vector's energy evenly, so that every coordinate looks Gaussian.

Random signs, then a Hadamard matrix (QuIP#, arXiv 2402.04396; QuaRot, arXiv 2404.00456), whose Kronecker product with a
cosine transform covers the widths that are no power of two.
"""

import functools as ft
import hashlib

import numpy as np

from latentmas.protocol.tensors import Array

SEED = "latentmas rotation 1"  # part of the file format: another seed is another rotation


@ft.cache
def rotation(width: int) -> Array:
    """Return the orthogonal matrix `[width, width]` float32 that row vectors are multiplied by."""
    odd = width
    matrix = np.ones((1, 1))
    while odd % 2 == 0:
        odd //= 2
        matrix = np.block([[matrix, matrix], [matrix, -matrix]]) / np.sqrt(2)
    turned = _signs(width)[:, None] * np.kron(matrix, _cosine(odd))
    return np.asarray(turned, np.float32)


def _signs(width: int) -> Array:
    """Random signs from a hash: a generator's stream may change with the library's version."""
    digest = hashlib.shake_256(f"{SEED} {width}".encode()).digest((width + 7) // 8)
    bits = np.unpackbits(np.frombuffer(digest, np.uint8))[:width]
    return 1.0 - 2.0 * bits


def _cosine(width: int) -> Array:
    """The orthonormal DCT-II."""
    index = np.arange(width)
    matrix = np.cos(np.pi * (index[:, None] + 0.5) * index[None] / width) * np.sqrt(2 / width)
    matrix[:, 0] /= np.sqrt(2)
    return np.asarray(matrix)
