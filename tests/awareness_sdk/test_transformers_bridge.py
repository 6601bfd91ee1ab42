"""A model continues from a restored cache as it would from its own."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from awareness_sdk.configurations import geometry_of
from awareness_sdk.transformers_bridge import cache_of, snapshot_of
from kvcache.coding import raw
from kvcache.compression.container import Container, read_kvz, unpack, write_kvz
from latentmas.protocol.cropping import crop
from latentmas.protocol.errors import DimensionMismatch, InvalidInput, ModelNotSupported
from latentmas.protocol.snapshot import KVSnapshot
from tests import networks

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WINDOW, CONTEXT, MORE, VOCABULARY = 8, 30, 12, networks.SHAPE["vocab_size"]
KINDS = ["sliding_attention", "full_attention", "sliding_attention"]
KEPT = np.array([0, 1, 5, 9, 12, 13, 20, 23, 24, 26, 29])  # with gaps inside the window of the last token


def llama():
    return networks.llama(num_hidden_layers=3)


def gemma():
    return networks.gemma(num_hidden_layers=3, sliding_window=WINDOW, layer_types=KINDS)


def mistral():
    return networks.mistral(num_hidden_layers=3, sliding_window=WINDOW)


@pytest.fixture(params=[llama, gemma, mistral])
def network(request):
    return request.param()


@pytest.fixture
def ids():
    # From 1 on: generate takes 0 for padding, which a restored cache does not carry.
    return torch.randint(
        1, networks.SHAPE["vocab_size"], (1, CONTEXT + MORE), generator=torch.Generator().manual_seed(3)
    )


def prefilled(network, ids, *, cropped: bool):
    """`cropped`: whether sliding layers hold their window only, as in a cache made with the configuration."""
    cache = transformers.DynamicCache(config=network.config) if cropped else transformers.DynamicCache()
    with torch.inference_mode():
        network(ids[:, :CONTEXT], past_key_values=cache)
    return cache


def continued(network, cache, ids, *, chunk: int = MORE, **more):
    """Return the logits of the tokens after the context, read in chunks."""
    with torch.inference_mode():
        parts = [
            network(ids[:, start : start + chunk], past_key_values=cache, **more).logits
            for start in range(CONTEXT, CONTEXT + MORE, chunk)
        ]
    return torch.cat(parts, dim=1)


def without(network, ids, kept):
    """Return the logits where every token is in the cache, and those not kept are masked."""
    mask = torch.zeros(1, CONTEXT + MORE, dtype=torch.long)
    mask[0, kept], mask[0, CONTEXT:] = 1, 1
    places = torch.arange(CONTEXT, CONTEXT + MORE)[None]
    cache = prefilled(network, ids, cropped=False)
    return continued(network, cache, ids, attention_mask=mask, position_ids=places)


def taken(network, ids, *, cropped: bool) -> KVSnapshot:
    cache = prefilled(network, ids, cropped=cropped)
    return snapshot_of(cache, config=network.config, model="tiny", weights="sha256:0", token_ids=ids[0].numpy())


def as_file(snapshot: KVSnapshot) -> bytes:
    return write_kvz(Container(snapshot.frame, raw.encode(snapshot), None, None, {}))


@pytest.mark.parametrize("cropped", [True, False])
@pytest.mark.parametrize("chunk", [1, 5, MORE])
def test_a_model_continues_from_a_restored_cache_as_from_its_own(network, ids, cropped: bool, chunk: int) -> None:
    restored = cache_of(unpack(read_kvz(as_file(taken(network, ids, cropped=cropped)))), config=network.config)
    own = continued(network, prefilled(network, ids, cropped=cropped), ids)
    again = continued(network, restored, ids, chunk=chunk)
    torch.testing.assert_close(again, own, atol=1e-4, rtol=0)
    assert torch.equal(again.argmax(-1), own.argmax(-1))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("chunk", [1, 5, MORE])
@pytest.mark.parametrize("cropped", [True, False])
def test_a_model_sees_the_kept_tokens_at_their_own_positions(
    network, ids, cropped: bool, chunk: int, attention: str
) -> None:
    wanted = without(network, ids, KEPT)
    network.set_attn_implementation(attention)
    snapshot = taken(network, ids, cropped=cropped)
    kept = np.flatnonzero(np.isin(snapshot.frame.positions, KEPT))
    restored = cache_of(unpack(read_kvz(as_file(snapshot.select(kept)))))
    torch.testing.assert_close(continued(network, restored, ids, chunk=chunk), wanted, atol=1e-4, rtol=0)


def test_leaving_tokens_out_changes_what_the_model_says(network, ids) -> None:
    own = continued(network, prefilled(network, ids, cropped=False), ids)
    assert (without(network, ids, KEPT) - own).abs().max() > 1e-2


@pytest.mark.parametrize("kept", [KEPT, np.arange(CONTEXT)])
def test_generation_goes_on_from_a_restored_cache(network, ids, kept) -> None:
    snapshot = taken(network, ids, cropped=False).select(kept)
    restored = cache_of(snapshot)
    prompt = ids[:, : CONTEXT + 2]
    made = network.generate(prompt, past_key_values=restored, max_new_tokens=6, do_sample=False)[0, CONTEXT + 2 :]
    cache, expected, following = cache_of(snapshot), [], prompt[:, CONTEXT:]
    for _ in range(6):
        with torch.inference_mode():
            following = network(following, past_key_values=cache).logits[:, -1:].argmax(-1)
        expected.append(int(following))
    assert made.tolist() == expected


def test_a_cropped_cache_says_which_tokens_each_layer_holds(ids) -> None:
    frame = taken(gemma(), ids, cropped=True).frame
    first = CONTEXT - WINDOW + 1
    assert (frame.starts, frame.next_position, frame.tokens) == ((first, 0, first), CONTEXT, CONTEXT)


def test_tokens_that_no_layer_holds_any_more_are_not_in_the_snapshot(ids) -> None:
    frame = taken(mistral().eval(), ids, cropped=True).frame
    held = np.arange(CONTEXT - WINDOW + 1, CONTEXT)
    assert np.array_equal(frame.positions, held)
    assert np.array_equal(frame.token_ids, ids[0].numpy()[held])


@pytest.mark.parametrize("kept", [KEPT, np.arange(CONTEXT)])
def test_a_restored_cache_gives_the_same_snapshot_again(network, ids, kept) -> None:
    once = taken(network, ids, cropped=True)
    once = once.select(np.flatnonzero(np.isin(once.frame.positions, kept)))
    again = snapshot_of(cache_of(once), config=network.config)
    assert np.array_equal(again.frame.positions, once.frame.positions)
    assert (again.frame.starts, again.frame.next_position) == (once.frame.starts, CONTEXT)
    assert np.array_equal(again.keys, once.keys)


def test_half_precision_stays_half_and_brain_floats_become_single(ids) -> None:
    for given, kept in ((torch.float16, np.float16), (torch.bfloat16, np.float32)):
        network = llama().to(given)
        assert taken(network, ids, cropped=True).keys.dtype == kept


def grouped(ids) -> dict[str, Callable[[], object]]:
    network = llama()
    two = transformers.DynamicCache()
    with torch.inference_mode():
        network(ids.repeat(2, 1), past_key_values=two)
    one, config = prefilled(network, ids, cropped=True), network.config
    shape = geometry_of(gemma().config)
    return {
        "two sequences": lambda: snapshot_of(two, config=config),
        "an empty cache": lambda: snapshot_of(transformers.DynamicCache(config=config), config=config),
        "neither config nor geometry": lambda: snapshot_of(one),
        "both": lambda: snapshot_of(one, config=config, geometry=geometry_of(config)),
        "another model": lambda: snapshot_of(one, geometry=shape),
        "too few token ids": lambda: snapshot_of(one, config=config, token_ids=[1, 2]),
        "too few positions": lambda: snapshot_of(one, config=config, positions=[1, 2]),
        "restored into another model": lambda: cache_of(snapshot_of(one, config=config), config=gemma().config),
    }


@pytest.mark.parametrize("name", list(grouped(torch.zeros(1, CONTEXT, dtype=torch.long))))
def test_what_does_not_fit_is_refused(ids, name: str) -> None:
    with pytest.raises((InvalidInput, DimensionMismatch)):
        grouped(ids)[name]()


def test_layers_of_one_kind_must_hold_the_same_tokens(ids) -> None:
    snapshot = taken(llama(), ids, cropped=True)
    uneven = replace(snapshot.frame, starts=(0, 3, 0))
    with pytest.raises(InvalidInput, match="same kind"):
        cache_of(KVSnapshot(uneven, snapshot.keys, snapshot.values))


def test_a_scaled_rotation_is_left_in_the_keys() -> None:
    scaled = {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}
    assert geometry_of(transformers.LlamaConfig(**networks.SHAPE, rope_parameters=scaled)).rotary_dim == 0


def test_a_latent_cache_needs_its_geometry() -> None:
    with pytest.raises(ModelNotSupported):
        geometry_of(transformers.DeepseekV3Config(num_hidden_layers=2))


def test_a_model_goes_on_from_an_earlier_point_of_a_memory_as_from_its_own(network, ids):
    end = 20
    part = crop(taken(network, ids, cropped=False), end)
    with torch.inference_mode():
        whole = network(ids[:, :CONTEXT]).logits[:, end:]
        rest = network(ids[:, end:CONTEXT], past_key_values=cache_of(part, config=network.config)).logits
    torch.testing.assert_close(rest, whole, rtol=1e-4, atol=1e-4)


def test_a_memory_whose_windows_have_moved_on_has_no_earlier_point(ids):
    moved = taken(gemma(), ids, cropped=True)
    with pytest.raises(InvalidInput, match="sliding window"):
        crop(moved, CONTEXT - 2)
