"""A model reads on from keys and values that somebody else holds, and sends gradients back to them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from factory.runners.model import RunningModel
from kvcache.rows import pack_rows
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    import torch

Leaves: TypeAlias = "list[list[torch.Tensor]]"  # of each layer: keys and values `[1, heads, tokens, dim]`


def logits_after(
    model: RunningModel, leaves: Leaves, continuation: Sequence[int], *, first_position: int
) -> "torch.Tensor":
    """Return the logits `[tokens, vocabulary]` along a continuation read after each layer's `[keys, values]`."""
    import torch
    from transformers import DynamicCache

    cache: DynamicCache = DynamicCache()
    for number, (keys, values) in enumerate(leaves):
        cache.update(keys, values, number)
    positions = torch.arange(first_position, first_position + len(continuation))[None]
    output = model.network.model(
        torch.tensor([list(continuation)]), past_key_values=cache, position_ids=positions, use_cache=True
    )
    logits: torch.Tensor = model.network.lm_head(output.last_hidden_state[0])
    return logits


def gradient_rows(model: RunningModel, leaves: Leaves) -> Array:
    """Return the gradients that have reached the leaves as rows `[tokens, width]`, float32."""
    keys, values = (np.stack([_numpy(pair[index].grad) for pair in leaves]) for index in (0, 1))
    # A rotation's transpose is its inverse: the gradient of unrotated keys is the rotated gradient turned back.
    return pack_rows(keys, values, geometry=model.geometry)


def _numpy(gradient: "torch.Tensor | None") -> Array:
    """Return `[tokens, heads, dim]`."""
    assert gradient is not None
    return np.asarray(gradient[0].float().numpy().transpose(1, 0, 2))
