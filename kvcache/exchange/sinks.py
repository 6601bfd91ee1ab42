"""The first entry of a cache, the attention sink: is it the BOS token's, a text token's in its place, or neither?

Models send attention that has nowhere to go to the first position, and its keys and values are unlike all others
(StreamingLLM, arXiv 2309.17453). It is never mapped: the target's own sink takes its place.
"""

import numpy as np

from kvcache.exchange.mapping import OpenedWMatrix
from kvcache.exchange.placement import First
from kvcache.rows import pack_rows
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

# |row - BOS row| / |BOS row|. BOS sees nothing but itself, so its row is the same in every cache up to rounding; this
# leaves room for a coarsely quantised one. No text token of SmolLM2-135M or Gemma-3-270M came nearer than 0.6.
BOS_TOLERANCE = 0.2
# Share of layers in which a sink's row is nearer to BOS than to the mean token; no first token after BOS reached it.
SINK_SHARE = 0.5


def first_entry(snapshot: KVSnapshot, w_matrix: OpenedWMatrix) -> First:
    """Return what the snapshot begins with: by its offsets where it has them, then by its row.

    A row's norm does not tell: standardised, a sink is no larger than a token. Its direction does.
    """
    frame = snapshot.frame
    if frame.positions[0] != 0:
        return First.ABSENT
    named = None if frame.offsets is None else frame.offsets[0]
    if named is not None and not named.any():  # (0, 0): a special token, which stands for no character
        return First.BOS
    layers = np.flatnonzero(np.asarray(frame.starts) == 0)
    if w_matrix.map.source_bos is None or not len(layers):
        return First.TOKEN
    row = pack_rows(snapshot.keys[:, :1], snapshot.values[:, :1], geometry=frame.geometry)[0]
    held, bos, mean, scale = (
        each.reshape(frame.geometry.layers, -1)[layers]
        for each in (row, w_matrix.map.source_bos, w_matrix.map.source_mean, w_matrix.map.source_scale)
    )
    if named is None and np.linalg.norm(held - bos) <= BOS_TOLERANCE * np.linalg.norm(bos):
        return First.BOS
    nearer = _distance(held, bos, scale) < _distance(held, mean, scale)
    return First.SINK if float(nearer.mean()) > SINK_SHARE else First.TOKEN


def _distance(rows: Array, centre: Array, scale: Array) -> Array:
    """Return for each layer how far a row lies from a centre, in the source's standard deviations."""
    return np.asarray(np.square((rows - centre) / scale).sum(axis=-1))
