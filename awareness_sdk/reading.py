"""Run a transformers model over some tokens of a context whose other tokens are in its cache already.

Every token stands at its own position and sees what came before it by position, whatever the order in the cache, and
no more than its window in sliding layers. A mask by position says so; the caches' own masks go by index.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from awareness_sdk.cache_layers import Held, filled, first_seen, stacked, tensors_of
from awareness_sdk.partial_prefill import Entering, written
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    import torch

WITH_WEIGHTS = "eager"  # the one that tells what is attended to
FULL, SLIDING = "full_attention", "sliding_attention"  # transformers' names of the kinds of layers


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of tokens that are to be read: their rows `[n, layers * w]` in a model's first layers.

    `states` `[n, hidden]` enter the last of these layers, from which the model goes on.
    """

    rows: Array
    states: Array


@dataclass(frozen=True, slots=True)
class Read:
    """What a model caches of tokens at ascending positions: keys and values `[1, heads, n, dim]` of each layer."""

    ids: Array
    positions: Array
    keys: "list[torch.Tensor]"
    values: "list[torch.Tensor]"

    def snapshot(self, memory: SnapshotFrame) -> KVSnapshot:
        """Return these tokens alone, float32, as tokens of the text that the memory is of. No layer lacks any."""
        keys, values = (
            stacked(side, len(self.ids)).astype(np.float32, copy=False) for side in (self.keys, self.values)
        )
        frame = replace(
            memory,
            positions=self.positions.astype(np.int32),
            starts=(0,) * memory.geometry.layers,
            token_ids=self.ids.astype(np.int32),
            offsets=None,
        )
        return KVSnapshot(frame, keys, values)


class Beside:
    """A memory as a model caches it, among whose tokens it reads others in place.

    What the memory holds at their ascending `positions` is never seen.
    """

    def __init__(self, model: Any, memory: KVSnapshot, positions: Array) -> None:
        self._model, self._geometry, self._positions = model, memory.frame.geometry, positions
        self._places = _places(memory.frame, positions)
        self._layers = _layers(model, memory, self._places, positions)

    def read(self, ids: Array, *, begun: Begun | None = None) -> Read:
        """Return what the model caches of the tokens with these ids, which stand among the others from then on."""
        from awareness_sdk.attending import among, attending_by

        begin = None if begun is None else _entering(self._model, begun, self._geometry)
        with attending_by(self._model, among(self._model)):
            new = written(
                self._model,
                ids[None],
                positions=self._positions[None].astype(np.int64),
                layers=self._geometry.layers,
                beside=self._layers,
                masks=_masks(self._model, self._geometry, self._places, self._positions),
                begin=begin,
            )
        keys, values = new.keys, new.values
        if begun is not None and begin is not None:
            known = _known(self._model, begun, self._geometry.first(begin.layer), self._positions)
            keys, values = ([*one, *other] for one, other in zip(known, (keys, values), strict=True))
        read = Read(ids, self._positions, keys, values)
        self.put(read)  # the model wrote neither the known layers nor the last one
        return read

    def put(self, read: Read) -> None:
        """Put tokens that were read at these positions among the others."""
        for layer, keys, values in zip(self._layers, read.keys, read.values, strict=True):
            layer.update(keys, values)

    def held(self) -> list[Held]:
        """Return all that each layer holds, also what its window hides from later tokens."""
        return [
            Held(layer.keys, layer.values, places) for layer, places in zip(self._layers, self._places, strict=True)
        ]


def attended_by(model: Any, memory: KVSnapshot, ids: Array) -> Array:
    """Return how much tokens that are read after a memory attend to each of its tokens `[tokens]`.

    A sum over queries, heads and the layers that hold the whole memory; those with a window show the end alone.
    """
    import torch
    from transformers import DynamicCache

    from awareness_sdk.attending import attending_by

    frame = memory.frame
    positions = frame.next_position + np.arange(len(ids))
    places = _places(frame, positions)
    cache = DynamicCache()
    cache.layers.extend(_layers(model, memory, places, positions))
    with attending_by(model, WITH_WEIGHTS), torch.inference_mode():
        seen = model(
            input_ids=torch.from_numpy(ids)[None].to(model.device),
            position_ids=torch.from_numpy(positions)[None].to(model.device),
            attention_mask=_masks(model, frame.geometry, places, positions),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            output_attentions=True,
        ).attentions
    total = np.zeros(frame.tokens)
    for weights, window in zip(seen, frame.geometry.windows, strict=True):
        if window is None:
            total += weights[0, :, :, : len(total)].float().sum((0, 1)).cpu().numpy()
    return total


def leaning(memory: KVSnapshot, share: float) -> KVSnapshot:
    """Return the memory with all keys but the sink's shortened by this share, so that less attention falls on them.

    A prediction is less sure than what a model read itself, and answers in its place where both are alike. A share
    below zero lengthens them: facts of what was not read are found more often.
    """
    if not share:
        return memory
    keys = memory.keys * memory.keys.dtype.type(1 - share)
    sink = memory.frame.positions == 0
    keys[:, sink] = memory.keys[:, sink]
    return KVSnapshot(memory.frame, keys, memory.values)


def _entering(model: Any, begun: Begun, geometry: KVGeometry) -> Entering:
    import torch

    states = torch.from_numpy(begun.states)[None].to(model.device, model.dtype)
    return Entering(begun.rows.shape[1] // geometry.layer_width - 1, states)


def _known(
    model: Any, begun: Begun, geometry: KVGeometry, positions: Array
) -> "tuple[list[torch.Tensor], list[torch.Tensor]]":
    """Return keys and values of the known layers, which do not run, as the model caches them."""
    import torch

    from kvcache.rows import unpack_rows

    keys, values = (
        [torch.from_numpy(layer.transpose(1, 0, 2)[None]).to(model.device, model.dtype) for layer in side]
        for side in unpack_rows(begun.rows[:, : geometry.width], geometry=geometry, positions=positions)
    )
    return keys, values


def _places(frame: SnapshotFrame, positions: Array) -> list[Array]:
    """Return, for each layer, the ascending positions of the tokens to be read and of what the first of them sees."""
    kinds = list(zip(frame.starts, frame.geometry.windows, strict=True))
    reader = int(positions[0])
    found = {
        (start, window): np.union1d(
            frame.positions[max(start, first_seen(frame.positions, window=window, reader=reader)) :], positions
        )
        for start, window in set(kinds)
    }
    return [found[kind] for kind in kinds]


def _layers(model: Any, memory: KVSnapshot, places: list[Array], positions: Array) -> list[Any]:
    """Return the memory's layers as the model caches them, with slots for the tokens to be read."""
    import torch

    from awareness_sdk.attending import Slots

    layers = []
    for number, each in enumerate(places):
        # What is to be read may be missing; another entry then stands in its slot until it is written.
        held = np.minimum(np.searchsorted(memory.frame.positions, each), memory.frame.tokens - 1)
        slots = torch.from_numpy(np.searchsorted(each, positions)).to(model.device)
        keys, values = (part.to(model.device, model.dtype) for part in tensors_of(memory, number, held))
        layers.append(filled(Slots(slots), keys, values))
    return layers


def _masks(
    model: Any, geometry: KVGeometry, places: list[Array], positions: Array
) -> "torch.Tensor | dict[str, torch.Tensor]":
    """Return the mask of each kind of layer, or the only one."""
    kinds = dict(zip(geometry.windows, places, strict=True))
    masks = {window: _mask(model, keys, positions, window) for window, keys in kinds.items()}
    if len(masks) == 1:
        return next(iter(masks.values()))
    return {FULL if window is None else SLIDING: mask for window, mask in masks.items()}


def _mask(model: Any, keys: Array, queries: Array, window: int | None) -> "torch.Tensor":
    """Return `[1, 1, queries, keys]`: 0 where a token sees another, and the lowest number elsewhere."""
    import torch

    distance = queries[:, None].astype(np.int64) - keys[None].astype(np.int64)
    seen = (distance >= 0) & (distance < (window or np.iinfo(np.int64).max))
    mask = torch.zeros(seen.shape, dtype=model.dtype, device=model.device)
    hidden = torch.from_numpy(~seen).to(model.device)
    return mask.masked_fill_(hidden, torch.finfo(model.dtype).min)[None, None]
