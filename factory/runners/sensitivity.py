"""How much each entry of a cache matters to what the model says next: gradients of its own predictions."""

from collections.abc import Sequence

from factory.runners.continuation import gradient_rows, logits_after
from factory.runners.model import RunningModel
from latentmas.protocol.tensors import Array


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
