"""The keys and values that a model's first layer caches of tokens, without a prefill (needs the extra `models`).

    target_first_layer = first_layer_of(model, ids)

The first layer's keys, before they are rotated, and values depend on each token alone: its embedding, the input norm,
the projections and a key norm. So they are computed once for each distinct token, at position 0, where RoPE is the
identity, by the model's own code up to the moment when it would write its cache.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from awareness_sdk.configurations import geometry_of
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    import torch

BATCH = 1024  # tokens
# The first layer is computed again at another position. If it depends on the position by RoPE alone, undoing that
# leaves rounding error, a hundredth in bfloat16; another layout of the rotation or added positions leave far more.
PROBE_POSITION = 7
PROBE_TOLERANCE = 0.05


class _Written(Exception):
    """The first layer has written its keys and values `[tokens, heads, 1, dim]`."""

    def __init__(self, keys: "torch.Tensor", values: "torch.Tensor") -> None:
        super().__init__()
        self.keys, self.values = keys, values


def first_layer_of(model: Any, token_ids: object) -> Array:
    """Return the rows `[tokens, w]`, float32, that a causal language model's first layer caches of tokens.

    A row is the keys of all heads without RoPE and after any key norm, then the values of all heads. Raises
    InvalidInput for ids outside the vocabulary, and ModelNotSupported where the first layer's keys depend on more than
    the token and RoPE: learned or added positions, a scaled rotation, or a latent cache.
    """
    ids = _checked(model, token_ids)
    geometry = geometry_of(model.config)
    if not geometry.rotary_dim:
        raise ModelNotSupported(
            f"{_kind(model)} does not place its tokens by a plain rotation of the keys, so its first layer does not "
            "depend on the token alone",
            resolution="Leave target_first_layer out: the memory is then handed over without the correction.",
        )
    distinct, places = np.unique(ids, return_inverse=True)
    _require_token_alone(model, distinct[:1], geometry)
    parts = [_rows(*_written(model, distinct[start : start + BATCH])) for start in range(0, len(distinct), BATCH)]
    rows: Array = np.concatenate(parts)[places]
    return rows


def _checked(model: Any, token_ids: object) -> Array:
    ids = np.asarray(token_ids)
    size = int(model.get_input_embeddings().num_embeddings)
    if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu":
        raise InvalidInput(
            f"token_ids has the shape {ids.shape} of {ids.dtype}; it must be [tokens] whole numbers", field="token_ids"
        )
    if ids.min() < 0 or ids.max() >= size:
        raise InvalidInput(f"token_ids holds a number outside of 0 to {size - 1}", field="token_ids")
    return ids.astype(np.int64)


def _written(model: Any, ids: Array, *, position: int = 0) -> "tuple[Array, Array]":
    """Return the keys and values `[tokens, heads, dim]` that the first layer caches of tokens, each by itself."""
    import torch
    from transformers import DynamicCache

    class Watched(DynamicCache):  # type: ignore[misc]  # transformers' classes are not followed
        def update(self, key_states: Any, value_states: Any, layer_idx: int, *_: Any, **__: Any) -> Any:
            del layer_idx  # the first to write is the first layer
            raise _Written(key_states, value_states)

    column = torch.from_numpy(ids)[:, None].to(model.device)
    try:
        with torch.inference_mode():
            model(
                input_ids=column,
                position_ids=torch.full_like(column, position),
                past_key_values=Watched(),
                use_cache=True,
            )
    except _Written as written:
        keys, values = (array[:, :, 0].float().cpu().numpy() for array in (written.keys, written.values))
        return keys, values
    raise ModelNotSupported(f"{_kind(model)} writes no keys and values into the cache that it is given")


def _rows(keys: Array, values: Array) -> Array:
    tokens = len(keys)
    return np.concatenate([keys.reshape(tokens, -1), values.reshape(tokens, -1)], axis=-1)


def _require_token_alone(model: Any, ids: Array, geometry: KVGeometry) -> None:
    """Raise ModelNotSupported unless the first layer depends on the position by RoPE alone."""
    from kvcache.rows import pack_rows

    keys, values = _written(model, ids, position=PROBE_POSITION)
    here = _rows(*_written(model, ids))
    one = KVGeometry(
        layers=1,
        heads=keys.shape[1],
        head_dim=keys.shape[2],
        rotary_dim=geometry.rotary_dim,
        thetas=geometry.thetas[:1],
        windows=(None,),
        value_dim=values.shape[2],
    )
    there = pack_rows(keys[None], values[None], geometry=one, positions=np.full(len(ids), PROBE_POSITION))
    if np.linalg.norm(there - here) > PROBE_TOLERANCE * np.linalg.norm(here):
        raise ModelNotSupported(
            f"the first layer of {_kind(model)} depends on a token's position in another way than RoPE of the Llama "
            "family does",
            resolution="Leave target_first_layer out: the memory is then handed over without the correction.",
        )


def _kind(model: Any) -> str:
    return str(model.config.model_type)
