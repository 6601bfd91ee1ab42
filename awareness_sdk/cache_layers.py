"""Between arrays of a KV snapshot and the layers of a transformers cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Held:
    """Keys and values `[1, heads, tokens, dim]` that one layer holds at ascending positions `[tokens]`."""

    keys: "torch.Tensor"
    values: "torch.Tensor"
    positions: Array


def tensors_of(snapshot: KVSnapshot, layer: int, tokens: Array) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return copies of one layer's keys and values `[1, heads, n, dim]` of the tokens with these indices."""
    import torch

    in_a_row = len(tokens) and (np.diff(tokens) == 1).all()
    part = slice(tokens[0], tokens[-1] + 1) if in_a_row else tokens  # a slice is not copied twice
    keys, values = (
        torch.from_numpy(np.array(side[layer][part].transpose(1, 0, 2)[None], order="C"))
        for side in (snapshot.keys, snapshot.values)
    )
    return keys, values


def cached(held: Held, *, window: int | None, next_position: int) -> Any:
    """Return a layer of a cache that goes on at `next_position`, without what its window hides from there on.

    transformers' own class, or a GappedLayer where a token is missing that the model still needs.
    """
    import torch
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    from awareness_sdk.gapped_layer import GappedLayer

    first = first_seen(held.positions, window=window, reader=next_position)
    keys, values, positions = held.keys[:, :, first:], held.values[:, :, first:], held.positions[first:]
    seen = next_position if window is None else min(window - 1, next_position)
    if len(positions) < seen:
        places = torch.from_numpy(positions.astype(np.int64))
        return GappedLayer(keys, values, positions=places, next_position=next_position, window=window)
    if window is None:
        return filled(DynamicLayer(), keys, values)
    layer = filled(DynamicSlidingWindowLayer(sliding_window=window), keys, values)
    layer.cumulative_length = next_position
    return layer


def first_seen(positions: Array, *, window: int | None, reader: int) -> int:
    """Return the index of the first of ascending positions that the token at position `reader` can see."""
    return 0 if window is None else int(np.searchsorted(positions, reader - window + 1))


def filled(layer: Any, keys: "torch.Tensor", values: "torch.Tensor") -> Any:
    """Return a new layer of transformers' with these keys and values: what its `update` does, without their copies."""
    layer.lazy_initialization(keys, values)
    layer.keys, layer.values = keys, values
    return layer


def stacked(tensors: "Sequence[torch.Tensor]", tokens: int) -> Array:
    """Return `[layers, tokens, heads, dim]` of each layer's `[1, heads, n, dim]`: its last tokens, zeros before these.

    float16 stays float16, everything else becomes float32.
    """
    import torch

    first = tensors[0]
    kind = np.float16 if first.dtype == torch.float16 else np.float32
    together = np.zeros((len(tensors), tokens, first.shape[1], first.shape[3]), kind)
    for number, tensor in enumerate(tensors):
        array = tensor[0].detach().cpu()
        array = array if array.dtype == torch.float16 else array.float()
        together[number, tokens - array.shape[1] :] = array.numpy().transpose(1, 0, 2)
    return together
