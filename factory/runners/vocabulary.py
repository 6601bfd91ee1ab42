"""The input and output embeddings of a model's vocabulary, in chunks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from factory.runners.model import RunningModel
from latentmas.protocol.errors import ModelNotSupported
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    import torch

CHUNK_ENTRIES = 8192


def vocabulary_chunks(model: RunningModel, *, chunk: int = CHUNK_ENTRIES) -> Iterator[tuple[Array, Array, Array]]:
    """Yield token ids `[n]`, their output embeddings and their input embeddings, both `[n, hidden]` float32.

    Input embeddings are the embedding module's outputs, not its weight: Gemma multiplies by sqrt(hidden). Raises
    ModelNotSupported where the head is no linear map from the hidden width.
    """
    import torch

    outputs = _output_embeddings(model)
    embedding = model.network.get_input_embeddings()
    for start in range(0, len(outputs), chunk):
        ids = torch.arange(start, min(start + chunk, len(outputs)))
        with torch.inference_mode():
            inputs = embedding(ids).float()
        yield ids.numpy(), outputs[start : start + chunk].numpy(), inputs.numpy()


def _output_embeddings(model: RunningModel) -> "torch.Tensor":
    """Return `[vocabulary, hidden]`, also where the head's weight is in oneDNN's layout."""
    head = model.network.get_output_embeddings()
    weight = getattr(head, "weight", None)
    if weight is None:
        raise ModelNotSupported(f"{model.name} has no linear head, so its hidden states cannot be realigned")
    dense: torch.Tensor = (weight.to_dense() if weight.is_mkldnn else weight).detach().float()
    hidden = model.network.get_input_embeddings().embedding_dim
    if dense.ndim != 2 or dense.shape[1] != hidden:
        raise ModelNotSupported(
            f"the head of {model.name} has the shape {tuple(dense.shape)}; its embeddings are {hidden} wide"
        )
    return dense
