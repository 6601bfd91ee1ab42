"""Run a transformers model over some tokens of a context whose other tokens are in its cache already.

Every token stands at its own position and sees what came before it by position, whatever the order in the cache, and
no more than its window in sliding layers. A mask by position says so; the caches' own masks go by index.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    import torch

BY_MASK = ("eager", "sdpa")  # the attention implementations that take a mask of any form
WITH_WEIGHTS = "eager"  # the one that tells what is attended to
FULL, SLIDING = "full_attention", "sliding_attention"  # transformers' names of the kinds of layers


def read_beside(model: Any, memory: KVSnapshot, ids: Array, positions: Array) -> KVSnapshot:
    """Return what the model caches of the tokens at these ascending positions, beside a memory of other tokens.

    Float32. No layer lacks any of them.
    """
    layers = _layers(memory, model)
    with attending_by(model, *BY_MASK):
        _run(model, memory, layers, ids, positions)
    new = [
        [part[0, :, -len(ids) :].float().cpu().numpy().transpose(1, 0, 2) for part in (layer.keys, layer.values)]
        for layer in layers
    ]
    keys, values = (np.stack(side) for side in zip(*new, strict=True))
    frame = replace(
        memory.frame,
        positions=positions.astype(np.int32),
        starts=(0,) * len(layers),
        token_ids=ids.astype(np.int32),
        offsets=None,
    )
    return KVSnapshot(frame, keys, values)


def attended_by(model: Any, memory: KVSnapshot, ids: Array) -> Array:
    """Return how much tokens that are read after a memory attend to each of its tokens `[tokens]`.

    A sum over queries, heads and the layers that hold the whole memory; those with a window show the end alone.
    """
    positions = memory.frame.next_position + np.arange(len(ids))
    with attending_by(model, WITH_WEIGHTS):
        seen = _run(model, memory, _layers(memory, model), ids, positions, output_attentions=True).attentions
    total = np.zeros(memory.frame.tokens)
    for weights, window in zip(seen, memory.frame.geometry.windows, strict=True):
        if window is None:
            total += weights[0, :, :, : len(total)].float().sum((0, 1)).cpu().numpy()
    return total


def _run(model: Any, memory: KVSnapshot, layers: list[Any], ids: Array, positions: Array, **options: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model.get_decoder()(
            input_ids=torch.from_numpy(ids)[None].to(model.device),
            position_ids=torch.from_numpy(positions.astype(np.int64))[None].to(model.device),
            attention_mask=_masks(model, memory, positions),
            past_key_values=_cache(layers),
            use_cache=True,
            **options,
        )


def merged(memory: KVSnapshot, read: KVSnapshot) -> KVSnapshot:
    """Return the snapshot of a memory and of the tokens read beside it, in the order of positions."""
    frame, ids = memory.frame, read.frame.token_ids
    together = np.concatenate([frame.positions, read.frame.positions])
    order = np.argsort(together)
    # A layer that lacks tokens begins after the last of these, whatever was read before it.
    lacking = [-1 if start == 0 else frame.positions[start - 1] for start in frame.starts]
    starts = tuple(int(np.searchsorted(together[order], last, side="right")) for last in lacking)
    both = replace(
        frame,
        positions=together[order].astype(np.int32),
        starts=starts,
        token_ids=None if frame.token_ids is None or ids is None else np.concatenate([frame.token_ids, ids])[order],
        offsets=None,
    )
    pairs = (memory.keys, read.keys), (memory.values, read.values)
    sides = [np.concatenate(pair, axis=1)[:, order] for pair in pairs]
    for layer, start in enumerate(starts):
        for side in sides:
            side[layer, :start] = 0
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


def _layers(memory: KVSnapshot, model: Any) -> list[Any]:
    """Return the memory's layers, each with only the tokens that it holds."""
    import torch
    from transformers.cache_utils import DynamicLayer

    layers = []
    for number, start in enumerate(memory.frame.starts):
        layer = DynamicLayer()
        parts = (
            torch.from_numpy(np.ascontiguousarray(side[number, start:].transpose(1, 0, 2)[None]))
            for side in (memory.keys, memory.values)
        )
        layer.update(*(part.to(model.device, model.dtype) for part in parts))
        layers.append(layer)
    return layers


def _cache(layers: list[Any]) -> Any:
    from transformers import DynamicCache

    cache = DynamicCache()
    cache.layers.extend(layers)
    return cache


def _masks(model: Any, memory: KVSnapshot, positions: Array) -> "torch.Tensor | dict[str, torch.Tensor]":
    """Return the mask of each kind of layer, or the only one."""
    frame = memory.frame
    kinds = {window: frame.starts[number] for number, window in enumerate(frame.geometry.windows)}
    masks = {
        window: _mask(model, np.concatenate([frame.positions[start:], positions]), positions, window)
        for window, start in kinds.items()
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
