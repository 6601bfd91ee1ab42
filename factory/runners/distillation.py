"""What a memory lacks, asked of the target model itself: the divergence of its predictions and the gradient of that."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.runners.continuation import Leaves, gradient_rows, logits_after
from factory.runners.model import RunningModel
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
    return divergence.item(), gradient_rows(model, leaves)


def _leaves(model: RunningModel, rows: Array) -> Leaves:
    return [[layer.keys, layer.values] for layer in model.cache_of(rows).layers]


def _log_probabilities(
    model: RunningModel, leaves: Leaves, continuation: Sequence[int], *, first_position: int
) -> "torch.Tensor":
    import torch

    logits = logits_after(model, leaves, continuation, first_position=first_position)
    return torch.log_softmax(logits.float(), -1)
