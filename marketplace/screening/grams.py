"""What of a memory is compared: grams of four consecutive tokens, by their ids and by what the model cached of them.

Ids compare best, but a seller can leave them out or write others. Values cannot be changed without harm to what is
sold. The value of a token in the first layer depends on the token alone; deeper ones on what stands before it too, but
some codings keep those better. So several layers count, all of them early ones. Each step from one value to the next
becomes a symbol: which of some random directions it is nearest to (a cross-polytope hash), which noise seldom changes.
"""

import functools as ft
import hashlib
from collections.abc import Iterator
from typing import Literal

import numpy as np

from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

Basis = Literal["tokens", "rows"]
GRAM = 4  # tokens
LAYERS = 4  # evenly from the first quarter of a model's
DIRECTIONS = 64  # and their opposites


def grams_of(snapshot: KVSnapshot, basis: Basis, *, key: bytes) -> set[bytes]:
    """Return a memory's grams, distinct for each model; none where it has no ids, or no four consecutive tokens.

    `key` chooses the random directions.
    """
    found = set[bytes]()
    for layer, symbols, positions in _symbols(snapshot, basis, key):
        length = GRAM if basis == "tokens" else GRAM - 1  # a step needs two tokens
        scope = f"{snapshot.frame.model}/{basis}/{layer}/".encode()
        found.update(scope + gram for gram in _runs(symbols, positions, length))
    return found


def layers_of(geometry: KVGeometry) -> list[int]:
    """Return the layers whose values are compared, among them one that holds all tokens if any layer does."""
    chosen = {geometry.layers * place // (LAYERS * LAYERS) for place in range(LAYERS)}
    whole = [layer for layer, window in enumerate(geometry.windows) if window is None]
    return sorted(chosen | set(whole[:1]))


def _symbols(snapshot: KVSnapshot, basis: Basis, key: bytes) -> Iterator[tuple[int, Array, Array]]:
    """Yield layer, symbols `[n]` and the positions `[n]` of the tokens that they stand for."""
    frame = snapshot.frame
    if basis == "tokens":
        if frame.token_ids is not None:
            yield 0, frame.token_ids.astype("<i4"), frame.positions
        return
    for layer in layers_of(frame.geometry):
        start = frame.starts[layer]
        values = snapshot.values[layer, start:].reshape(frame.tokens - start, -1).astype(np.float32)
        consecutive = np.diff(frame.positions[start:]) == 1
        steps = np.diff(values, axis=0)[consecutive]
        yield layer, _nearest(steps, _directions(steps.shape[1], layer, key)), frame.positions[start:-1][consecutive]


def _runs(symbols: Array, positions: Array, length: int) -> Iterator[bytes]:
    """Yield the runs of so many symbols at consecutive positions, as bytes."""
    if len(symbols) < length:
        return
    runs = np.lib.stride_tricks.sliding_window_view(symbols, length)
    unbroken = positions[length - 1 :] - positions[: len(runs)] == length - 1
    data, size = runs[unbroken].tobytes(), length * symbols.itemsize
    yield from (data[at : at + size] for at in range(0, len(data), size))


def _nearest(steps: Array, directions: Array) -> Array:
    """Return for each step `[n, width]` which direction it is nearest to, those of the other sign counted on."""
    along = steps @ directions
    nearest = np.abs(along).argmax(axis=1)
    ahead = np.take_along_axis(along, nearest[:, None], axis=1)[:, 0] > 0
    symbols: Array = (nearest + DIRECTIONS * ahead).astype("<u2")
    return symbols


@ft.lru_cache(maxsize=32)
def _directions(width: int, layer: int, key: bytes) -> Array:
    """Return keyed random signs `[width, DIRECTIONS]`, the same ones on every machine."""
    seed = key + f"/{layer}/{width}".encode()
    bits = np.frombuffer(hashlib.shake_256(seed).digest(width * DIRECTIONS // 8), dtype=np.uint8)
    signs: Array = np.unpackbits(bits).reshape(width, DIRECTIONS).astype(np.float32) * 2 - 1
    return signs
