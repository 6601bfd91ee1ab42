"""Gram matrices of corresponding rows of several models (views): each model's own, and one for every pair."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from factory.alignment.gram import add_own, add_product, assemble, empty_strips
from factory.alignment.standardise import Moments, Standard
from factory.progress import Progress
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

# The rows `[rows, d_i]` of every model, in one order; may be called more than once.
ViewChunks = Callable[[], Iterator[Sequence[Array]]]


@dataclass(frozen=True, slots=True)
class ViewStatistics:
    """Sufficient statistics for a hub: products of standardised rows, divided by the number of rows."""

    standards: tuple[Standard, ...]
    grams: tuple[jax.Array, ...]  # float64 [d_i, d_i], lower triangle
    crosses: dict[tuple[int, int], jax.Array]  # float32 [d_i, d_j] for i < j
    rows: int

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(len(standard.mean) for standard in self.standards)

    def cross(self, first: int, second: int) -> jax.Array:
        """Return X_first^T X_second / n `[d_first, d_second]`."""
        return self.crosses[first, second] if first < second else self.crosses[second, first].T


def accumulate_views(chunks: ViewChunks, *, progress: Progress) -> ViewStatistics:
    """Return the statistics of corresponding rows; two passes.

    Raises InvalidInput for fewer than two models, rows that do not correspond, none at all, or not finite ones.
    """
    standards, total = _standards(chunks)
    models = range(len(standards))
    with jax.enable_x64(True):
        own = [empty_strips(len(standard.mean)) for standard in standards]
        crosses = {
            (i, j): jnp.zeros((len(standards[i].mean), len(standards[j].mean))) for i in models for j in models if i < j
        }
        rows = 0
        for number, chunk in enumerate(chunks()):
            progress(number, total)
            views = [jnp.asarray(s.apply(each), jnp.float32) for s, each in zip(standards, chunk, strict=True)]
            own = [add_own(strips, view) for strips, view in zip(own, views, strict=True)]
            for i, j in crosses:
                crosses[i, j] = add_product(crosses[i, j], views[i], views[j])
            rows += len(chunk[0])
        progress(total, total)
        return ViewStatistics(
            standards=standards,
            grams=tuple(assemble(strips, 1 / rows) for strips in own),
            crosses={pair: (cross / rows).astype(np.float32) for pair, cross in crosses.items()},
            rows=rows,
        )


def _standards(chunks: ViewChunks) -> tuple[tuple[Standard, ...], int]:
    moments: list[Moments] = []
    total = 0
    for chunk in chunks():
        moments = moments or [Moments() for _ in chunk]
        lengths = {len(each) for each in chunk}
        if len(chunk) != len(moments) or len(lengths) != 1:
            raise InvalidInput(f"a chunk has rows of {len(chunk)} models, {sorted(lengths)} of them; they must agree")
        for each, rows in zip(moments, chunk, strict=True):
            each.add(rows)
        total += 1
    if len(moments) < 2:
        raise InvalidInput(f"a hub joins at least two models; {len(moments)} came")
    return tuple(each.standard() for each in moments), total
