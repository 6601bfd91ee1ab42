"""What a memory lacks, asked of the target model itself: the divergence of its predictions and the gradient of that."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from factory.runners.model import RunningModel
from kvcache.rows import pack_rows
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    import torch


def own_log_probabilities(model: RunningModel, own_rows: Array, continuation: Sequence[int]) -> "torch.Tensor":
    """Return what the model predicts along the continuation after its own memory, `[tokens, vocabulary]`."""
    import torch

    with torch.no_grad():
        return _log_probabilities(model, _leaves(model, own_rows), continuation, first_position=len(own_rows))


def divergence_and_gradient(
    model: RunningModel, rows: Array, continuation: Sequence[int], *, wanted: "torch.Tensor"
) -> tuple[float, Array]:
    """Return KL(wanted || predicted after `rows`) in nats per token, and its gradient `[1 + tokens, width]` float32.

    `rows` `[1 + tokens, width]` begin with the BOS entry. The model must be differentiable.
    """
    leaves = _leaves(model, rows)
    for pair in leaves:
        for part in pair:
            part.requires_grad_(True)
    predicted = _log_probabilities(model, leaves, continuation, first_position=len(rows))
    divergence = (wanted.exp() * (wanted - predicted)).sum(-1).mean()
    divergence.backward()  # type: ignore[no-untyped-call]
    keys, values = (np.stack([_numpy(pair[index].grad) for pair in leaves]) for index in (0, 1))
    # A rotation's transpose is its inverse: the gradient of unrotated keys is the rotated gradient turned back.
    return divergence.item(), pack_rows(keys, values, geometry=model.geometry)


def _leaves(model: RunningModel, rows: Array) -> "list[list[torch.Tensor]]":
    return [[layer.keys, layer.values] for layer in model.cache_of(rows).layers]


def _log_probabilities(
    model: RunningModel, leaves: "list[list[torch.Tensor]]", continuation: Sequence[int], *, first_position: int
) -> "torch.Tensor":
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
    return torch.log_softmax(logits.float(), -1)


def _numpy(gradient: "torch.Tensor | None") -> Array:
    """Return `[tokens, heads, dim]`."""
    assert gradient is not None
    return np.asarray(gradient[0].float().numpy().transpose(1, 0, 2))
