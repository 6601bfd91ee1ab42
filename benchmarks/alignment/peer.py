"""The closed-form recipe of arXiv 2608.03893, written again: per-head ridge from the eight best source layers.

It asks for equal KV geometries; here every head of the target may use all heads of its eight source layers, keys and
values alike, which is the most favourable reading where the geometries differ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from factory.alignment.fit import PairStatistics
    from latentmas.protocol.geometry import KVGeometry
    from latentmas.protocol.tensors import Array

LAYERS = 8
PENALTY = 0.01  # of the diagonal of the standardised Gram matrix
BYTES = 2  # a weight at fp16


@dataclass(frozen=True)
class LayerMap:
    """The map of one target layer: `weights` `[features, layer width]` of the source columns `columns`."""

    columns: "Array"
    weights: "Array"


def fit_peer(statistics: "PairStatistics", source: "KVGeometry", target: "KVGeometry") -> list[LayerMap]:
    """Return one map a target layer. The heads of a layer share their features, so their ridges share one solution."""
    gram, cross = np.asarray(statistics.gram), np.asarray(statistics.cross)
    maps = []
    for layer in range(target.layers):
        wanted = cross[:, layer * target.layer_width : (layer + 1) * target.layer_width]
        explained = [
            np.sum(wanted[_columns(source, (each,))] * _solve(gram, wanted, _columns(source, (each,))))
            for each in range(source.layers)
        ]
        chosen = tuple(sorted(np.argsort(explained)[-LAYERS:].tolist()))
        columns = _columns(source, chosen)
        maps.append(LayerMap(columns, _solve(gram, wanted, columns).astype(np.float16)))
    return maps


def peer_bytes(maps: list[LayerMap]) -> int:
    return sum(each.weights.size * BYTES for each in maps)


def peer_aligner(maps: list[LayerMap], statistics: "PairStatistics") -> Callable[["Array"], "Array"]:
    """Return the function that maps source rows to target rows."""
    source, target = statistics.source, statistics.target

    def align(rows: "Array") -> "Array":
        standardised = source.apply(rows.astype(np.float32))
        parts = [standardised[:, each.columns] @ each.weights.astype(np.float32) for each in maps]
        return np.concatenate(parts, axis=1) * target.scale + target.mean

    return align


def _columns(geometry: "KVGeometry", layers: tuple[int, ...]) -> "Array":
    width = geometry.layer_width
    return np.concatenate([np.arange(each * width, (each + 1) * width) for each in layers])


def _solve(gram: "Array", cross: "Array", columns: "Array") -> "Array":
    lower = np.tril(gram[np.ix_(columns, columns)])  # only the lower triangle is filled
    block = lower + np.tril(lower, -1).T
    return np.linalg.solve(block + PENALTY * np.eye(len(columns)), cross[columns])
