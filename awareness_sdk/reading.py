"""Run a transformers model over some tokens of a context whose other tokens are in its cache already.

Every token stands at its own position and sees what came before it by position, whatever the order in the cache, and
no more than its window in sliding layers. A mask by position says so; the caches' own masks go by index.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from awareness_sdk.cache_layers import filled, stacked, tensors_of
from awareness_sdk.partial_prefill import Entering, written
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot
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


def read_beside(
    model: Any, memory: KVSnapshot, ids: Array, positions: Array, *, begun: Begun | None = None
) -> KVSnapshot:
    """Return what the model caches of the tokens at these ascending positions, beside its memory of all the others.

    What the memory holds at these positions is not seen. Float32. No layer lacks any of them.
    """
    from awareness_sdk.attending import among, attending_by

    frame = memory.frame
    places = _places(memory, positions)
    begin = None if begun is None else _entering(model, begun, frame.geometry)
    with attending_by(model, among(model)):
        new = written(
            model,
            ids[None],
            positions=positions[None].astype(np.int64),
            layers=frame.geometry.layers,
            beside=_layers(model, memory, places, positions),
            masks=_masks(model, memory, places, positions),
            begin=begin,
        )
    keys, values = (stacked(side, len(ids)).astype(np.float32, copy=False) for side in (new.keys, new.values))
    if begun is not None and begin is not None:
        keys, values = _after_known(begun, begin.layer, keys, values, geometry=frame.geometry, positions=positions)
    new_frame = replace(
        frame,
        positions=positions.astype(np.int32),
        starts=(0,) * frame.geometry.layers,
        token_ids=ids.astype(np.int32),
        offsets=None,
    )
    return KVSnapshot(new_frame, keys, values)


def attended_by(model: Any, memory: KVSnapshot, ids: Array) -> Array:
    """Return how much tokens that are read after a memory attend to each of its tokens `[tokens]`.

    A sum over queries, heads and the layers that hold the whole memory; those with a window show the end alone.
    """
    import torch
    from transformers import DynamicCache

    from awareness_sdk.attending import attending_by

    frame = memory.frame
    positions = frame.next_position + np.arange(len(ids))
    places = _places(memory, positions)
    cache = DynamicCache()
    cache.layers.extend(_layers(model, memory, places, positions))
    with attending_by(model, WITH_WEIGHTS), torch.inference_mode():
        seen = model(
            input_ids=torch.from_numpy(ids)[None].to(model.device),
            position_ids=torch.from_numpy(positions)[None].to(model.device),
            attention_mask=_masks(model, memory, places, positions),
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


def merged(memory: KVSnapshot, read: KVSnapshot) -> KVSnapshot:
    """Return the snapshot of a memory with the tokens read beside it, in the order of positions.

    What the memory held at their positions is replaced.
    """
    frame, ids = memory.frame, read.frame.token_ids
    others = np.flatnonzero(~np.isin(frame.positions, read.frame.positions))
    positions = np.union1d(frame.positions, read.frame.positions)
    is_read = np.isin(positions, read.frame.positions)
    # A layer that lacks tokens begins after the last of these, whatever was read before it.
    lacking = [frame.positions[others[others < start]] for start in frame.starts]
    starts = tuple(int(np.searchsorted(positions, last[-1], side="right")) if len(last) else 0 for last in lacking)

    def placed(held: Array, new: Array, both: Array) -> Array:
        both[~is_read], both[is_read] = held[others], new
        return both

    sides = []
    for held, new in ((memory.keys, read.keys), (memory.values, read.values)):
        side = np.empty((len(held), len(positions), *held.shape[2:]), np.result_type(held, new))
        for layer, start in enumerate(starts):
            placed(held[layer], new[layer], side[layer])[:start] = 0
        sides.append(side)
    token_ids = None
    if frame.token_ids is not None and ids is not None:
        token_ids = placed(frame.token_ids, ids, np.empty_like(positions))
    both = replace(
        frame,
        positions=positions.astype(np.int32),
        starts=starts,
        token_ids=token_ids,
        offsets=None,
    )
    return KVSnapshot(both, *sides)


def _entering(model: Any, begun: Begun, geometry: KVGeometry) -> Entering:
    import torch

    states = torch.from_numpy(begun.states)[None].to(model.device, model.dtype)
    return Entering(begun.rows.shape[1] // geometry.layer_width - 1, states)


def _after_known(
    begun: Begun, layers: int, keys: Array, values: Array, *, geometry: KVGeometry, positions: Array
) -> tuple[Array, Array]:
    """Return keys and values with those of the known layers, which did not run, in front."""
    from kvcache.rows import unpack_rows

    known = geometry.first(layers)
    first_keys, first_values = unpack_rows(begun.rows[:, : known.width], geometry=known, positions=positions)
    return np.concatenate([first_keys, keys]), np.concatenate([first_values, values])


def _places(memory: KVSnapshot, positions: Array) -> list[Array]:
    """Return, for each layer, the ascending positions of what it holds and of the tokens to be read."""
    frame = memory.frame
    found = {start: np.union1d(frame.positions[start:], positions) for start in set(frame.starts)}
    return [found[start] for start in frame.starts]


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
    model: Any, memory: KVSnapshot, places: list[Array], positions: Array
) -> "torch.Tensor | dict[str, torch.Tensor]":
    """Return the mask of each kind of layer, or the only one."""
    kinds = dict(zip(memory.frame.geometry.windows, places, strict=True))
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
