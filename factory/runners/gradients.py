"""Gradients of a loss on a model's continuation with respect to the entries of its KV-cache.

The refinement of a W-Matrix uses that of the KL divergence from the continuation after the target's own memory; a codec
profile weighs its coefficients by the Fisher information of the model's predictions.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from factory.runners.model import RunningModel
from kvcache.rows import pack_rows
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    import torch

Leaves: TypeAlias = "list[list[torch.Tensor]]"  # of each layer: keys and values `[1, heads, tokens, dim]`


def own_log_probabilities(model: RunningModel, own_rows: Array, continuation: Sequence[int]) -> "torch.Tensor":
    """Return the model's log-probabilities `[tokens, vocabulary]` along the continuation after its own memory."""
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
    return divergence.item(), gradient_rows(model, leaves)


def rows_and_gradients(
    model: RunningModel, context: Sequence[int], continuation: Sequence[int], *, seed: int
) -> tuple[Array, Array]:
    """Return the rows of BOS and the context, and the gradients that reach them, both `[1 + context, width]` float32.

    The gradient is that of the log-probability of tokens drawn from the model's own predictions along the
    continuation: its mean square is the diagonal of the Fisher information, so half the weighted squared error is the
    KL divergence to second order. The model must be differentiable.
    """
    import torch

    cache = model.prefill(context)
    leaves = [
        [part.detach().clone().requires_grad_(True) for part in (layer.keys, layer.values)] for layer in cache.layers
    ]
    generator = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        logits = logits_after(model, leaves, continuation, first_position=1 + len(context))
        log_probabilities = torch.log_softmax(logits.float(), -1)
        drawn = torch.multinomial(log_probabilities.detach().exp(), 1, generator=generator)
        log_probabilities.gather(1, drawn).sum().backward()  # type: ignore[no-untyped-call]
    return model.rows_of(cache), gradient_rows(model, leaves)


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
    """Return the leaves' accumulated gradients as rows `[tokens, width]`, float32."""
    keys, values = (np.stack([_numpy(pair[index].grad) for pair in leaves]) for index in (0, 1))
    # A rotation's transpose is its inverse: the gradient of unrotated keys is the rotated gradient turned back.
    return pack_rows(keys, values, geometry=model.geometry)


def _leaves(model: RunningModel, rows: Array) -> Leaves:
    return [[layer.keys, layer.values] for layer in model.cache_of(rows).layers]


def _log_probabilities(
    model: RunningModel, leaves: Leaves, continuation: Sequence[int], *, first_position: int
) -> "torch.Tensor":
    import torch

    logits = logits_after(model, leaves, continuation, first_position=first_position)
    return torch.log_softmax(logits.float(), -1)


def _numpy(gradient: "torch.Tensor | None") -> Array:
    """Return `[tokens, heads, dim]`."""
    assert gradient is not None
    return np.asarray(gradient[0].float().numpy().transpose(1, 0, 2))
