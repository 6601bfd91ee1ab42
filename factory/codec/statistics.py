"""Streamed moments of a model's cache rows and of the gradients that reach them, to fit a codec profile from."""

import functools as ft
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

TINY = 1e-12  # keeps the logarithm of a vanished gradient finite


@ft.partial(jax.jit, donate_argnums=0)
def _add_gram(
    gram: Float[jax.Array, "width width"], rows: Float[jax.Array, "tokens width"]
) -> Float[jax.Array, "width width"]:
    return gram + rows.T @ rows


@dataclass(slots=True)
class Sums:
    """Sums over all tokens. Rows are shifted by the first window's mean, so that float32 does not cancel."""

    shift: Array  # float32 [width]
    gram: jax.Array  # float32 [width, width], of shifted rows
    sensitivity: Array  # float64 [width]: squared gradients
    by_position: Array  # float32 [tokens, width]: shifted rows of every window
    against_loudness: Array  # float64 [width]: shifted rows times their token's log-sensitivity


@dataclass(slots=True)
class RowStatistics:
    """Sums over windows of equal length, and each token's log-sensitivity: the log of its summed squared gradient."""

    tokens: int = 0
    sums: Sums | None = None
    loudness: list[Array] = field(default_factory=list)  # float64 [tokens] of each window

    def add(self, rows: Array, gradients: Array) -> None:
        """Add one window, both `[tokens, width]`, without its BOS entry. Raises InvalidInput for another length."""
        if self.sums is None:
            self.sums = _empty(rows)
        sums = self.sums
        if rows.shape != sums.by_position.shape:
            raise InvalidInput(f"the window has the shape {rows.shape}; the first had {sums.by_position.shape}")
        shifted, squares = rows - sums.shift[None], np.square(gradients)
        loudness = np.log(squares.sum(1, dtype=np.float64) + TINY)
        sums.gram = _add_gram(sums.gram, shifted)
        sums.sensitivity += squares.sum(0, dtype=np.float64)
        sums.by_position += shifted
        sums.against_loudness += loudness @ shifted
        self.loudness.append(loudness)
        self.tokens += len(rows)


def _empty(rows: Array) -> Sums:
    width = rows.shape[1]
    return Sums(
        shift=rows.mean(0),
        gram=jnp.zeros((width, width), jnp.float32),
        sensitivity=np.zeros(width),
        by_position=np.zeros(rows.shape, np.float32),
        against_loudness=np.zeros(width),
    )
