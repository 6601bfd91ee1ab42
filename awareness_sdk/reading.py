"""Run a transformers model over some tokens of a context whose other tokens are in its cache already.

Every token stands at its own position and sees what came before it by position, whatever the order in the cache, and
no more than its window in sliding layers. A mask by position says so; the caches' own masks go by index.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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

BY_MASK = ("eager", "sdpa")  # the attention implementations that take a mask of any form
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
    frame = memory.frame
    held = _held(memory, np.flatnonzero(~np.isin(frame.positions, positions)))
    begin = None if begun is None else _entering(model, begun, frame.geometry)
    with attending_by(model, *BY_MASK):
        new = written(
            model,
            ids[None],
            positions=positions[None].astype(np.int64),
            layers=frame.geometry.layers,
            beside=_layers(model, memory, held),
            masks=_masks(model, memory, held, positions),
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

    frame = memory.frame
    positions, held = frame.next_position + np.arange(len(ids)), _held(memory, np.arange(frame.tokens))
    cache = DynamicCache()
    cache.layers.extend(_layers(model, memory, held))
    with attending_by(model, WITH_WEIGHTS), torch.inference_mode():
        seen = model(
            input_ids=torch.from_numpy(ids)[None].to(model.device),
            position_ids=torch.from_numpy(positions)[None].to(model.device),
            attention_mask=_masks(model, memory, held, positions),
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


@contextmanager
def attending_by(model: Any, *wanted: str) -> Iterator[None]:
    """Let the model attend by an implementation that is wanted, and afterwards by its own again."""
    own = model.config._attn_implementation
    if own in wanted:
        yield
        return
    model.set_attn_implementation(wanted[0])
    try:
        yield
    finally:
        model.set_attn_implementation(own)


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


def _held(memory: KVSnapshot, tokens: Array) -> list[Array]:
    """Return, for each layer, which of these tokens (ascending indices) it holds."""
    return [tokens[np.searchsorted(tokens, start) :] for start in memory.frame.starts]


def _layers(model: Any, memory: KVSnapshot, held: list[Array]) -> list[Any]:
    """Return the memory's layers as the model caches them, each with only these of its tokens."""
    from transformers.cache_utils import DynamicLayer

    return [
        filled(DynamicLayer(), *(part.to(model.device, model.dtype) for part in tensors_of(memory, number, tokens)))
        for number, tokens in enumerate(held)
    ]


def _masks(
    model: Any, memory: KVSnapshot, held: list[Array], positions: Array
) -> "torch.Tensor | dict[str, torch.Tensor]":
    """Return the mask of each kind of layer, or the only one."""
    kinds = dict(zip(memory.frame.geometry.windows, held, strict=True))
    masks = {
        window: _mask(model, np.concatenate([memory.frame.positions[tokens], positions]), positions, window)
        for window, tokens in kinds.items()
    }
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
