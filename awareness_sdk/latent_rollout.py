"""Latent thoughts on one model (LatentMAS, arXiv 2511.20639), handed on as KV snapshots (needs the extra `models`).

    thoughts = roll_out(model, ids, steps=8, realignment=realignment)
    cache = cache_of(thoughts[0])

After the prompt the last hidden state is realigned into the input-embedding space, brought to the mean norm of the
input embeddings and read as the next token's embedding, `steps` times. What the model then holds of the prompt and of
its thoughts is the memory. The published code reads a padding token's state in right-padded batches, lets thoughts see
the padding and drops the cache where there are no steps; here a batch gives what each prompt gives alone, and no steps
give the plain prefill.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from awareness_sdk.transformers_bridge import cache_of, snapshot_of
from latentmas.protocol.eight_bit import MATRICES, matrix_of
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.w_matrix import Space, WMatrix

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache

LEAST_NORM = 1e-6  # of a realigned state, below which its direction means nothing


@dataclass(frozen=True, slots=True)
class Realignment:
    """A function of states `[n, hidden]`: a product with `matrix` `[hidden, hidden]`, rescaled to the norm `norm`."""

    matrix: "torch.Tensor"
    norm: float
    model: str
    weights: str | None

    def __call__(self, hidden: "torch.Tensor") -> "torch.Tensor":
        realigned = hidden.to(self.matrix.dtype) @ self.matrix
        norms = realigned.norm(dim=-1, keepdim=True).clamp_min(LEAST_NORM)
        embeddings: torch.Tensor = (realigned * (self.norm / norms)).to(hidden.dtype)
        return embeddings


def realignment_of(w_matrix: WMatrix) -> Realignment:
    """Return a realignment ready for use. Raises InvalidInput for a W-Matrix of another space."""
    import torch

    document, arrays = w_matrix.document, w_matrix.arrays
    if document.space is not Space.REALIGNMENT:
        raise InvalidInput(
            f"this W-Matrix maps {document.space.value}; a latent rollout needs one of the space "
            f"{Space.REALIGNMENT.value}",
            field="realignment",
        )
    encoder, decoder = (matrix_of(arrays, name) for name in MATRICES)
    matrix = encoder @ decoder * arrays["target_scale"].astype(np.float32)
    return Realignment(
        matrix=torch.from_numpy(np.ascontiguousarray(matrix, np.float32)),
        norm=float(np.linalg.norm(arrays["target_scale"].astype(np.float64))),
        model=document.source_model,
        weights=document.source_weights,
    )


def roll_out(
    network: Any, input_ids: Any, *, steps: int, realignment: Realignment, attention_mask: Any = None
) -> list[KVSnapshot]:
    """Return for each prompt of a batch `[batch, tokens]` the memory of it and of `steps` thoughts, uncropped.

    Prompts begin with BOS where the model wants one. `attention_mask` `[batch, tokens]` is 0 at padding, on any side;
    without one nothing is padding. Positions count real tokens only: a memory goes on at its own length. Raises
    InvalidInput or DimensionMismatch.
    """
    import torch

    ids = torch.as_tensor(input_ids)
    mask = torch.ones_like(ids) if attention_mask is None else torch.as_tensor(attention_mask)
    _check(network, ids, mask, steps=steps, realignment=realignment)
    prompts = [row[kept.bool()] for row, kept in zip(ids, mask, strict=True)]
    padded, seen = _padded_left(prompts)
    cache = _empty_cache()
    _think(network, padded, cache, steps=steps, realignment=realignment, seen=seen)
    return [
        _snapshot(network, cache, row=row, tokens=len(prompt) + steps, realignment=realignment)
        for row, prompt in enumerate(prompts)
    ]


def think_on(
    network: Any, memory: KVSnapshot, input_ids: Sequence[int], *, steps: int, realignment: Realignment
) -> KVSnapshot:
    """Return the memory extended by a further prompt `[tokens]`, without BOS, and `steps` thoughts.

    Raises InvalidInput or DimensionMismatch.
    """
    import torch

    ids = torch.as_tensor(input_ids)[None]
    _check(network, ids, torch.ones_like(ids), steps=steps, realignment=realignment)
    cache = cache_of(memory, config=network.config)
    _think(network, ids, cache, steps=steps, realignment=realignment)
    return snapshot_of(cache, config=network.config, model=realignment.model, weights=realignment.weights)


def _think(
    network: Any,
    ids: "torch.Tensor",
    cache: "DynamicCache",
    *,
    steps: int,
    realignment: Realignment,
    seen: "torch.Tensor | None" = None,
) -> None:
    """Let the model read `ids` and then its own thoughts; the cache grows by all of them.

    `seen` `[batch, tokens]` is 0 at padding on the left; None is no padding at all.
    """
    import torch

    start = cache.get_seq_length()
    places = torch.arange(start, start + ids.shape[1])[None] if seen is None else seen.cumsum(-1).sub(1).clamp_min(0)
    arguments: dict[str, Any] = {"input_ids": ids}
    with torch.inference_mode():
        for step in range(steps + 1):
            hidden = network.base_model(
                **arguments, attention_mask=seen, position_ids=places, past_key_values=cache, use_cache=True
            ).last_hidden_state[:, -1]
            if step == steps:  # the last state is not needed: to continue, the model reads a token first
                break
            arguments = {"inputs_embeds": realignment(hidden)[:, None]}
            places = places[:, -1:] + 1
            seen = None if seen is None else torch.cat([seen, torch.ones_like(seen[:, :1])], dim=1)


def _padded_left(prompts: "list[torch.Tensor]") -> "tuple[torch.Tensor, torch.Tensor | None]":
    """Return the prompts `[batch, longest]` with their ends aligned, and 1 where a token is real.

    On the left, padding shifts a whole row, so that sliding windows, which count cache entries, still reach as far.
    """
    import torch

    longest = max(map(len, prompts))
    padded = torch.stack([torch.nn.functional.pad(each, (longest - len(each), 0)) for each in prompts])
    if all(len(each) == longest for each in prompts):
        return padded, None
    filled = [torch.nn.functional.pad(torch.ones_like(each), (longest - len(each), 0)) for each in prompts]
    return padded, torch.stack(filled)


def _snapshot(network: Any, cache: "DynamicCache", *, row: int, tokens: int, realignment: Realignment) -> KVSnapshot:
    """Return one row of the batch without its padding."""
    alone = _empty_cache()
    for number, layer in enumerate(cache.layers):
        keys, values = (part[row : row + 1, :, -tokens:] for part in (layer.keys, layer.values))
        alone.update(keys, values, number)
    return snapshot_of(alone, config=network.config, model=realignment.model, weights=realignment.weights)


def _check(network: Any, ids: "torch.Tensor", mask: "torch.Tensor", *, steps: int, realignment: Realignment) -> None:
    if steps < 0:
        raise InvalidInput(f"steps is {steps}; it must be 0 (a plain prefill) or more", field="steps")
    if ids.ndim != 2 or mask.shape != ids.shape:
        raise InvalidInput(
            f"input_ids has the shape {tuple(ids.shape)} and attention_mask {tuple(mask.shape)}; both must be "
            "[batch, tokens]",
            field="input_ids",
        )
    if not mask.bool().any(dim=1).all():
        raise InvalidInput("a prompt has no token; give at least the model's BOS", field="attention_mask")
    width = network.get_input_embeddings().embedding_dim
    if realignment.matrix.shape != (width, width):
        raise DimensionMismatch(
            f"the realignment of {realignment.model} is {realignment.matrix.shape[0]} wide; this model is {width} wide",
            field="realignment",
        )


def _empty_cache() -> "DynamicCache":
    from transformers import DynamicCache

    # Without a configuration every layer keeps all tokens; the attention mask still applies the sliding window.
    return DynamicCache()
