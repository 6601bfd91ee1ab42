"""The keys and values that a model's first layers cache of tokens, without a whole prefill (needs the extra `models`).

    target_first_layers = first_layers_of(model, ids, layers=2)

The first layer's keys, before they are rotated, and values depend on each token alone: its embedding, the input norm,
the projections and a key norm. So they are computed once for each distinct token, at position 0, where RoPE is the
identity. Deeper layers depend on the text before; for them the model reads BOS and the tokens up to the layer that is
wanted, by its own code and up to the moment when it would write that layer's cache: `layers` - 1 of its layers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from awareness_sdk.cache_layers import stacked
from awareness_sdk.configurations import geometry_of
from awareness_sdk.partial_prefill import written
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array

KNOWN_LAYERS = 4  # the W-Matrices made here take so many, or all but one of a smaller model
BATCH = 1024  # tokens
# The first layer is computed again at another position. If it depends on the position by RoPE alone, undoing that
# leaves rounding error, a hundredth in bfloat16; another layout of the rotation or added positions leave far more.
PROBE_POSITION = 7
PROBE_TOLERANCE = 0.05
WITHOUT = "Leave target_first_layer out: the memory is then handed over without the correction."


@dataclass(frozen=True, slots=True)
class FirstLayers:
    """What a model's first layers make of a text: `rows` `[tokens, layers * w]` as `first_layers_of` returns them.

    `states` `[tokens, hidden]` enter the last of these layers; None where only the first is known.
    """

    rows: Array
    states: Array | None = None


def known_layers(geometry: KVGeometry) -> int:
    """Return how many first layers the W-Matrices made here take of a target."""
    return min(KNOWN_LAYERS, geometry.layers - 1)


def first_layers_of(model: Any, token_ids: object, *, layers: int, bos: int) -> Array:
    """Return the rows `[tokens, layers * w]`, float32, that a model's first layers cache of tokens read after BOS.

    A row is, layer by layer, the keys of all heads without RoPE and after any key norm, then the values of all heads.
    The tokens are those of the context without BOS, from its beginning. Raises as `first_layer_of` does, and
    InvalidInput for a number of layers that the model does not have.
    """
    return first_layers_and_states(model, token_ids, layers=layers, bos=bos).rows


def first_layers_and_states(model: Any, token_ids: object, *, layers: int, bos: int) -> FirstLayers:
    """Return what `first_layers_of` does, and the hidden states from which the model may go on. Raises as it does."""
    if layers == 1:
        return FirstLayers(first_layer_of(model, token_ids))
    ids = _checked(model, token_ids)
    geometry = _rotated_geometry(model)
    if not 1 <= layers <= geometry.layers:
        raise InvalidInput(f"layers is {layers}; {_kind(model)} has {geometry.layers}", field="layers")
    _require_token_alone(model, ids[:1], geometry)
    parts = list(_read(model, np.array([bos, *ids]), geometry=geometry.first(layers)))
    rows = np.concatenate([part.rows for part in parts])[1:]
    states = [part.states for part in parts if part.states is not None]
    return FirstLayers(rows, np.concatenate(states)[1:] if states else None)


def _read(model: Any, ids: Array, *, geometry: KVGeometry) -> Iterator[FirstLayers]:
    """Yield what a model's first layers make of `ids`, BOS in front, some tokens at a time.

    Where the layers that run have windows, it is half of one: the model computes what a window hides, too.
    """
    from transformers import DynamicCache

    from kvcache.rows import pack_rows

    windows = [window for window in geometry.windows[:-1] if window is not None]
    step = max(1, max(windows) // 2) if len(windows) == geometry.layers - 1 else len(ids)
    beside = DynamicCache(config=model.config).layers
    for start in range(0, len(ids), step):
        part, positions = ids[start : start + step], np.arange(start, min(start + step, len(ids)))
        found = written(model, part[None], positions=positions[None], layers=geometry.layers, beside=beside)
        sides = (stacked(side, len(part)) for side in (found.keys, found.values))
        states = None if found.entering is None else found.entering.states[0].float().cpu().numpy()
        yield FirstLayers(pack_rows(*sides, geometry=geometry, positions=positions), states)


def first_layer_of(model: Any, token_ids: object) -> Array:
    """Return the rows `[tokens, w]`, float32, that a causal language model's first layer caches of tokens.

    A row is the keys of all heads without RoPE and after any key norm, then the values of all heads. Raises
    InvalidInput for ids outside the vocabulary, and ModelNotSupported where the first layer's keys depend on more than
    the token and RoPE: learned or added positions, a scaled rotation, or a latent cache.
    """
    ids = _checked(model, token_ids)
    geometry = _rotated_geometry(model)
    distinct, places = np.unique(ids, return_inverse=True)
    _require_token_alone(model, distinct[:1], geometry)
    parts = [_rows(*_alone(model, distinct[start : start + BATCH])) for start in range(0, len(distinct), BATCH)]
    rows: Array = np.concatenate(parts)[places]
    return rows


def _rotated_geometry(model: Any) -> KVGeometry:
    geometry = geometry_of(model.config)
    if not geometry.rotary_dim:
        raise ModelNotSupported(
            f"{_kind(model)} does not place its tokens by a plain rotation of the keys, so its first layer does not "
            "depend on the token alone",
            resolution=WITHOUT,
        )
    return geometry


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


def _alone(model: Any, ids: Array, *, position: int = 0) -> tuple[Array, Array]:
    """Return the keys and values `[tokens, heads, dim]` that the first layer caches of tokens, each by itself."""
    column = ids[:, None]
    found = written(model, column, positions=np.full_like(column, position), layers=1)
    keys, values = (side[0][:, :, 0].float().cpu().numpy() for side in (found.keys, found.values))
    return keys, values


def _rows(keys: Array, values: Array) -> Array:
    tokens = len(keys)
    return np.concatenate([keys.reshape(tokens, -1), values.reshape(tokens, -1)], axis=-1)


def _require_token_alone(model: Any, ids: Array, geometry: KVGeometry) -> None:
    """Raise ModelNotSupported unless the first layer depends on the position by RoPE alone."""
    from kvcache.rows import pack_rows

    keys, values = _alone(model, ids, position=PROBE_POSITION)
    here = _rows(*_alone(model, ids))
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
            resolution=WITHOUT,
        )


def _kind(model: Any) -> str:
    return str(model.config.model_type)
