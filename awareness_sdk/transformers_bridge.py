"""Convert between transformers' DynamicCache and KV snapshots (needs the extra `models`).

    compress(snapshot_of(cache, config=model.config, model="smollm2-135m", weights=digest), adapter=adapter)
    cache = cache_of(decompress(data, profile=profile))
    exchange(snapshot, w_matrix, target=target_tokens(model, tokenizer, text))

The model continues from the restored cache with `model(ids, past_key_values=cache)`: positions go on after the last
token of the context, also where tokens of it are missing.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from latentmas.extras import MissingExtra, absent

if absent("models"):
    raise MissingExtra("models", __name__)

from awareness_sdk.cache_layers import Held, cached, first_seen, stacked, tensors_of
from awareness_sdk.configurations import geometry_of
from awareness_sdk.first_layer import KNOWN_LAYERS, FirstLayers, first_layer_of, first_layers_and_states
from awareness_sdk.reading import Begun, Beside, attended_by, leaning
from awareness_sdk.residuals import corrected
from kvcache.exchange.placement import TargetTokens
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from transformers import DynamicCache

LEAN = 0.1  # on what was read in place, where whole sentences were chosen by the question


def snapshot_of(
    cache: "DynamicCache",
    *,
    config: Any = None,
    geometry: KVGeometry | None = None,
    model: str | None = None,
    weights: str | None = None,
    token_ids: object | None = None,
    offsets: object | None = None,
    positions: object | None = None,
    next_position: int | None = None,
) -> KVSnapshot:
    """Return the snapshot of a cache of one sequence, given the model's configuration or geometry.

    float16 stays float16, everything else becomes float32. A sliding layer may hold only its window. `positions` are
    those of the tokens of the layer that holds the most, by default the last ones before `next_position`, which is by
    default where the cache itself goes on. Token ids and offsets are those of the same tokens, or of the whole context.
    Raises InvalidInput, DimensionMismatch or ModelNotSupported.
    """
    if (config is None) == (geometry is None):
        raise InvalidInput("give either the model's config or its geometry", field="geometry")
    shape = geometry_of(config) if geometry is None else geometry
    layers = _layers(cache, shape)
    held = [int(layer.keys.shape[-2]) for layer in layers]
    places, following = _places(layers, max(held), positions, next_position)
    frame = SnapshotFrame(
        model=model,
        weights=weights,
        geometry=shape,
        positions=places,
        next_position=following,
        starts=tuple(min(len(places) - count, len(places) - 1) for count in held),
        token_ids=_of_tokens("token_ids", token_ids, places),
        offsets=_of_tokens("offsets", offsets, places),
    )
    sides = ([getattr(layer, name) for layer in layers] for name in ("keys", "values"))
    return KVSnapshot(frame, *(stacked(side, len(places)) for side in sides))


def cache_of(snapshot: KVSnapshot, *, config: Any = None) -> "DynamicCache":
    """Return a cache, float32 or float16 like the snapshot, from which the model continues; sliding layers are cropped.

    With a model's configuration, raises DimensionMismatch where the snapshot is not of that shape.
    """
    frame = snapshot.frame
    if config is not None:
        _check_geometry(frame.geometry, geometry_of(config))
    _check_alike(frame, reader=frame.next_position)
    return _cache((_held(snapshot, layer) for layer in range(frame.geometry.layers)), frame)


def target_tokens(model: Any, tokenizer: Any, text: str, *, leave: int = 0, layers: int = KNOWN_LAYERS) -> TargetTokens:
    """Return a text in the target's tokens: ids, spans and the first layers, BOS in front where it has one.

    The text must be what the source read. More layers than a W-Matrix's correction takes do no harm; reading them costs
    `layers` - 1 of the target's layers, all but one at most. The last `leave` tokens are left out, for the target to
    read itself after the memory of the others. Raises InvalidInput for a text of no more tokens than that or a
    tokenizer that gives no spans, and ModelNotSupported for a model whose first layer depends on more than the token.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise InvalidInput("this tokenizer does not say which characters a token stands for", field="tokenizer")
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, spans = list(encoded["input_ids"]), list(encoded["offset_mapping"])
    if not ids:
        raise InvalidInput("the text has no tokens", field="text")
    if not 0 <= leave < len(ids):
        raise InvalidInput(f"the text has {len(ids)} tokens; {leave} cannot be left out", field="leave")
    ids, spans = ids[: len(ids) - leave], spans[: len(spans) - leave]
    bos = tokenizer.bos_token_id
    if bos is not None:  # many tokenizers know it and yet put none in front
        ids, spans = [bos, *ids], [(0, 0), *spans]
    first = _first_layers(model, ids, bos, min(layers, geometry_of(model.config).layers - 1))
    return TargetTokens(
        np.asarray(spans, np.int32), ids=np.asarray(ids, np.int32), first_layer=first.rows, states=first.states
    )


def read_in_place(
    model: Any,
    memory: "KVSnapshot | DynamicCache",
    token_ids: object,
    positions: object,
    *,
    tokens: TargetTokens | None = None,
    lean: float = 0.0,
    learn: bool = False,
) -> "DynamicCache":
    """Let the model read some tokens of the context itself, beside its memory of the others; return the whole cache.

    Token `i` of the text stands at position `i` + 1, after BOS. Entries that the memory has at these positions are
    replaced. Give the snapshot that the alignment returned for this reading: it holds what sliding windows show to the
    first token that is read, and a cache has dropped that. With the `tokens` that `target_tokens` returned, the first
    layers are not computed again. `lean`, -1 to 1, shortens the keys of what is not read by this share: with `LEAN`, a
    question by which sentences were chosen is answered from these, as by the text; the gist fades a little. With
    `learn`, what was wrong with the entries replaced corrects the others. Raises InvalidInput for positions that the
    memory does not cover, for ids that are not the model's or not those of `tokens` and for such a `lean`, and
    DimensionMismatch for a memory of another shape.
    """
    if not -1 <= lean <= 1:
        raise InvalidInput(f"lean is {lean}; it must be a share, -1 to 1", field="lean")
    snapshot = memory if isinstance(memory, KVSnapshot) else snapshot_of(memory, config=model.config)
    _check_geometry(snapshot.frame.geometry, geometry_of(model.config))
    ids, places = _checked_reading(model, snapshot.frame, token_ids, positions)
    if not len(places):
        return cache_of(snapshot)
    beside = Beside(model, leaning(snapshot, lean), places)
    read = beside.read(ids, begun=_begun(tokens, ids, places))
    if learn:
        beside = Beside(model, leaning(corrected(snapshot, read.snapshot(snapshot.frame)), lean), places)
        beside.put(read)
    return _cache(beside.held(), snapshot.frame)


def attention_to(model: Any, memory: KVSnapshot, question_ids: object) -> Array:
    """Return how much a question, read after an aligned memory, attends to each token of the context but BOS.

    `[tokens]`, zero for tokens that the memory lacks: what the chooser `attention` chooses by. Raises as
    `read_in_place` does.
    """
    _check_geometry(memory.frame.geometry, geometry_of(model.config))
    ids = np.asarray(question_ids, np.int64)
    _check_ids(model, ids)
    if not len(ids):
        raise InvalidInput("the question has no tokens", field="question_ids")
    found = np.zeros(memory.frame.next_position)
    found[memory.frame.positions] = attended_by(model, memory, ids)
    return found[1:]


def _checked_reading(model: Any, frame: SnapshotFrame, token_ids: object, positions: object) -> tuple[Array, Array]:
    ids, places = np.asarray(token_ids, np.int64), np.asarray(positions, np.int64)
    if ids.ndim != 1 or ids.shape != places.shape:
        raise InvalidInput(
            f"token_ids has the shape {ids.shape} and positions {places.shape}; they must be [tokens], of one length",
            field="positions",
        )
    if len(places) and ((np.diff(places) <= 0).any() or places[0] < 1 or places[-1] >= frame.next_position):
        raise InvalidInput(
            f"positions go from {places.min()} to {places.max()}; they must ascend, from 1, after BOS, to "
            f"{frame.next_position - 1}, where the memory ends",
            field="positions",
        )
    _check_ids(model, ids)
    if len(places):
        _check_alike(frame, reader=int(places[0]))
        _check_seen(frame, int(places[0]))
    return ids, places.astype(np.int32)


def _check_ids(model: Any, ids: Array) -> None:
    size = int(model.get_input_embeddings().num_embeddings)
    if len(ids) and (ids.min() < 0 or ids.max() >= size):
        raise InvalidInput(f"token_ids holds a number outside of 0 to {size - 1}", field="token_ids")


def _check_seen(frame: SnapshotFrame, reader: int) -> None:
    """Raise InvalidInput where a layer lacks what the token at position `reader` sees, the sink or later tokens."""
    for layer, (held, window) in enumerate(zip(frame.starts, frame.geometry.windows, strict=True)):
        seen = 0 if window is None else max(0, reader - window + 1)
        if seen == 0 and frame.positions[0] != 0:
            raise InvalidInput(
                f"the memory lacks position 0, the attention sink, which the token at position {reader} looks at",
                field="memory",
            )
        if held and frame.positions[held - 1] >= seen:
            raise InvalidInput(
                f"the token at position {reader} sees position {seen} in layer {layer}; the memory holds that layer "
                f"from position {frame.positions[held]} on",
                resolution="Have the memory aligned for this reading (`reread`), and give it before it becomes a "
                "cache; or read only later tokens.",
                field="positions",
            )


def _first_layers(model: Any, ids: list[int], bos: int | None, layers: int) -> FirstLayers:
    """Return what is known of each of `ids`, BOS's row among them where it stands in front."""
    if bos is None or layers <= 1:
        return FirstLayers(first_layer_of(model, ids))
    known = first_layers_and_states(model, ids[1:], layers=layers, bos=bos)
    # BOS's is not used: the W-Matrix brings the sink
    rows, states = (None if each is None else np.pad(each, ((1, 0), (0, 0))) for each in (known.rows, known.states))
    assert rows is not None
    return FirstLayers(rows, states)


def _begun(tokens: TargetTokens | None, ids: Array, positions: Array) -> Begun | None:
    """Return what is known of the tokens at these positions, where it is enough to go on from."""
    if tokens is None or tokens.ids is None or tokens.first_layer is None or tokens.states is None:
        return None
    index = positions - 1 + len(tokens.spans) - len(tokens.text_spans)  # BOS may stand in front
    if index[-1] >= len(tokens.ids) or (tokens.ids[index] != ids).any():
        raise InvalidInput("token_ids are others than the tokens' own at these positions", field="token_ids")
    return Begun(tokens.first_layer[index], tokens.states[index])


def _layers(cache: "DynamicCache", geometry: KVGeometry) -> list[Any]:
    """Return the cache's layers. Raises for what is no cache of one sequence in this geometry."""
    layers = list(cache.layers)
    if len(layers) != geometry.layers:
        raise DimensionMismatch(
            f"the cache has {len(layers)} layers; the geometry has {geometry.layers}", field="cache"
        )
    for number, layer in enumerate(layers):
        keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
        if keys is None or values is None or keys.ndim != 4:
            raise InvalidInput(f"layer {number} of the cache holds no keys and values", field="cache")
        if keys.shape[0] != 1:
            raise InvalidInput(f"the cache holds {keys.shape[0]} sequences; a snapshot is of one", field="cache")
        for name, array, width in (("keys", keys, geometry.head_dim), ("values", values, geometry.value_width)):
            if (array.shape[1], array.shape[3]) != (geometry.heads, width):
                raise DimensionMismatch(
                    f"layer {number} of the cache has {name} of the shape {tuple(array.shape)}; the geometry has "
                    f"{geometry.heads} heads of the width {width}",
                    field="cache",
                )
    return layers


def _places(layers: list[Any], tokens: int, given: object | None, following: int | None) -> tuple[Array, int]:
    """Return the tokens' positions and the one after the context."""
    longest = max(layers, key=lambda layer: layer.keys.shape[-2])
    if given is None and hasattr(longest, "positions"):  # it came from `cache_of` and lacks tokens
        given = longest.positions.cpu().numpy()
    if given is None:
        end = int(longest.get_seq_length()) if following is None else following
        return np.arange(end - tokens, end, dtype=np.int32), end
    places = np.asarray(given, np.int32)
    if places.shape != (tokens,):
        raise InvalidInput(
            f"positions has the shape {places.shape}; the fullest layer holds {tokens} tokens", field="positions"
        )
    return places, max(int(longest.get_seq_length()), int(places[-1]) + 1) if following is None else following


def _of_tokens(name: str, given: object | None, places: Array) -> Array | None:
    if given is None:
        return None
    array = np.asarray(given, np.int32)
    if len(array) == len(places):
        return array
    if len(array) <= places[-1]:
        raise InvalidInput(
            f"{name} has {len(array)} entries; it must have one for each of the {len(places)} tokens held, or one for "
            f"every token up to position {places[-1]}",
            field=name,
        )
    return array[places]


def _held(snapshot: KVSnapshot, layer: int) -> Held:
    """Return copies of what a layer of a snapshot holds and shows to the token after the context."""
    frame = snapshot.frame
    seen = first_seen(frame.positions, window=frame.geometry.windows[layer], reader=frame.next_position)
    tokens = np.arange(max(frame.starts[layer], seen), frame.tokens)
    return Held(*tensors_of(snapshot, layer, tokens), frame.positions[tokens])


def _cache(layers: Iterable[Held], frame: SnapshotFrame) -> "DynamicCache":
    from transformers import DynamicCache

    cache = DynamicCache()
    cache.layers.extend(
        cached(held, window=window, next_position=frame.next_position)
        for held, window in zip(layers, frame.geometry.windows, strict=True)
    )
    return cache


def _check_geometry(given: KVGeometry, wanted: KVGeometry) -> None:
    for name in ("layers", "heads", "head_dim", "value_width", "windows"):
        if getattr(given, name) != getattr(wanted, name):
            raise DimensionMismatch(
                f"the snapshot's {name} is {getattr(given, name)}; this model has {getattr(wanted, name)}", field=name
            )


def _check_alike(frame: SnapshotFrame, *, reader: int) -> None:
    """Raise InvalidInput if layers of one kind show different tokens to the token at position `reader`.

    transformers makes one mask for all of them.
    """
    windows = frame.geometry.windows
    for window in set(windows):
        first = first_seen(frame.positions, window=window, reader=reader)
        if len({max(first, start) for start, each in zip(frame.starts, windows, strict=True) if each == window}) > 1:
            raise InvalidInput(
                "layers of the same kind hold different tokens; a model cannot mask those", field="starts"
            )
