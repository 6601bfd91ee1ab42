"""Between arrays of a KV snapshot and the layers of a transformers cache."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    import torch


def tensors_of(snapshot: KVSnapshot, layer: int, tokens: Array) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return copies of one layer's keys and values `[1, heads, n, dim]` of the tokens with these indices."""
    import torch

    keys, values = (
        torch.from_numpy(np.ascontiguousarray(side[layer][tokens].transpose(1, 0, 2)[None]))
        for side in (snapshot.keys, snapshot.values)
    )
    return keys, values


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
