"""A model that reads some tokens in place, beside its memory of the others, continues as if it had read everything."""

from dataclasses import replace

import numpy as np
import pytest

from awareness_sdk.first_layer import first_layers_and_states
from awareness_sdk.transformers_bridge import attention_to, cache_of, read_in_place, snapshot_of
from kvcache.exchange.placement import TargetTokens
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.snapshot import KVSnapshot, needed
from tests import networks

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from awareness_sdk import attending  # noqa: E402

WINDOW, CONTEXT, MORE = 8, 30, 12
KINDS = ["sliding_attention", "full_attention", "sliding_attention"]
SUBSETS = {
    "all": np.arange(1, CONTEXT),
    "last": np.arange(24, CONTEXT),
    "first": np.arange(1, 5),
    "scattered": np.array([1, 2, 9, 10, 17, 28, 29]),
    "one": np.array([20]),
}


@pytest.fixture(params=["llama", "gemma", "mistral"])
def network(request):
    windowed = {"gemma": {"sliding_window": WINDOW, "layer_types": KINDS}, "mistral": {"sliding_window": WINDOW}}
    return getattr(networks, request.param)(num_hidden_layers=3, **windowed.get(request.param, {}))


@pytest.fixture
def ids() -> np.ndarray:
    return np.random.default_rng(3).integers(1, networks.SHAPE["vocab_size"], CONTEXT + MORE)


def memory(network, ids: np.ndarray) -> KVSnapshot:
    cache = transformers.DynamicCache()
    with torch.inference_mode():
        network(torch.from_numpy(ids[None, :CONTEXT]), past_key_values=cache)
    return snapshot_of(cache, config=network.config, token_ids=ids[:CONTEXT])


def continued(network, cache, ids: np.ndarray):
    with torch.inference_mode():
        return network(torch.from_numpy(ids[None, CONTEXT:]), past_key_values=cache).logits


def spoilt(snapshot: KVSnapshot, positions: np.ndarray) -> KVSnapshot:
    """Noise where the model is to read itself: nothing of it may be seen."""
    noise = np.random.default_rng(5).normal(size=snapshot.keys[:, positions].shape).astype("f4")
    keys, values = snapshot.keys.copy(), snapshot.values.copy()
    keys[:, positions], values[:, positions] = noise, -noise
    return KVSnapshot(snapshot.frame, keys, values)


@pytest.mark.parametrize("at_once", [2, 3, attending.AT_ONCE])
@pytest.mark.parametrize("positions", SUBSETS.values(), ids=SUBSETS)
def test_tokens_read_beside_the_models_own_memory_give_its_own_cache(
    network, ids, positions, at_once: int, monkeypatch
) -> None:
    monkeypatch.setattr(attending, "AT_ONCE", at_once)
    own = memory(network, ids)
    read = read_in_place(network, spoilt(own, positions), ids[positions], positions)
    expected = continued(network, cache_of(own, config=network.config), ids)
    torch.testing.assert_close(continued(network, read, ids), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("positions", SUBSETS.values(), ids=SUBSETS)
def test_what_the_first_reader_cannot_see_is_not_needed(network, ids, positions) -> None:
    own = memory(network, ids)
    handed = needed(spoilt(own, positions), reader=int(positions[0]))[0]
    read = read_in_place(network, handed, ids[positions], positions)
    expected = continued(network, cache_of(own, config=network.config), ids)
    torch.testing.assert_close(continued(network, read, ids), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("implementation", ["eager", "sdpa", "flex_attention"])
def test_any_attention_implementation_reads_in_place(network, ids, implementation: str) -> None:
    own, positions = memory(network, ids), SUBSETS["scattered"]
    expected = continued(network, cache_of(own, config=network.config), ids)
    network.set_attn_implementation(implementation)
    read = read_in_place(network, spoilt(own, positions), ids[positions], positions)
    assert network.config._attn_implementation == implementation
    network.set_attn_implementation("sdpa")
    torch.testing.assert_close(continued(network, read, ids), expected, atol=2e-5, rtol=1e-4)


def test_a_cache_is_read_beside_as_its_snapshot_is(ids) -> None:
    network = networks.llama(num_hidden_layers=3)
    own, positions = memory(network, ids), SUBSETS["last"]
    read = read_in_place(network, cache_of(own), ids[positions], positions)
    expected = continued(network, cache_of(own, config=network.config), ids)
    torch.testing.assert_close(continued(network, read, ids), expected, atol=2e-5, rtol=1e-4)


def known(network, ids: np.ndarray, layers: int = 2, *, bos: bool = True) -> TargetTokens:
    first = first_layers_and_states(network, ids[1:CONTEXT], layers=layers, bos=int(ids[0]))
    front = np.zeros(2, int) if bos else np.zeros((0, 2), int)
    spans = np.concatenate([front.reshape(-1, 2), np.arange(CONTEXT - 1)[:, None] + [[0, 1]]])
    rows, states = (np.concatenate([np.zeros_like(each[: int(bos)]), each]) for each in (first.rows, first.states))
    return TargetTokens(spans, ids=ids[int(not bos) : CONTEXT], first_layer=rows, states=states)


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("positions", SUBSETS.values(), ids=SUBSETS)
def test_reading_may_begin_where_the_known_layers_end(network, ids, positions, layers: int, bos: bool) -> None:
    own, tokens = memory(network, ids), known(network, ids, layers, bos=bos)
    ran: list[int] = []
    hook = network.model.layers[layers - 2].mlp.register_forward_hook(lambda *_: ran.append(1))
    read = read_in_place(network, spoilt(own, positions), ids[positions], positions, tokens=tokens)
    hook.remove()
    assert not ran
    expected = continued(network, cache_of(own, config=network.config), ids)
    torch.testing.assert_close(continued(network, read, ids), expected, atol=2e-5, rtol=1e-4)


def test_tokens_of_another_text_are_refused(ids) -> None:
    network = networks.llama(num_hidden_layers=3)
    with pytest.raises(InvalidInput, match="others than the tokens' own"):
        read_in_place(network, memory(network, ids), ids[3:5] - 1, [3, 4], tokens=known(network, ids))


def test_nothing_read_leaves_the_memory_as_it_is(network, ids) -> None:
    own = memory(network, ids)
    read = read_in_place(network, own, [], [])
    expected = continued(network, cache_of(own, config=network.config), ids)
    assert torch.equal(continued(network, read, ids), expected)


@pytest.mark.parametrize(
    ("token_ids", "positions", "field"),
    [
        ([1, 2], [3], "positions"),
        ([1], [0], "positions"),
        ([1], [CONTEXT], "positions"),
        ([1, 2], [4, 3], "positions"),
        ([networks.SHAPE["vocab_size"]], [3], "token_ids"),
        ([-1], [3], "token_ids"),
    ],
)
def test_what_cannot_be_read_is_refused(ids, token_ids, positions, field: str) -> None:
    network = networks.llama(num_hidden_layers=3)
    with pytest.raises(InvalidInput) as caught:
        read_in_place(network, memory(network, ids), token_ids, positions)
    assert caught.value.facts["field"] == field


def test_what_was_read_corrects_the_rest_where_it_is_asked_for(ids) -> None:
    network = networks.llama(num_hidden_layers=3)
    own, positions = memory(network, ids), SUBSETS["all"][::2]
    wrong = KVSnapshot(own.frame, own.keys, own.values + 1)
    plain, learnt = (read_in_place(network, wrong, ids[positions], positions, learn=learn) for learn in (False, True))
    others = np.setdiff1d(np.arange(1, CONTEXT), positions)
    left, less = (
        np.abs(cache.layers[0].values[0, :, others].numpy() - own.values[0, others].transpose(1, 0, 2))
        for cache in (plain, learnt)
    )
    np.testing.assert_allclose(left, 1, atol=1e-5)
    assert less.max() < 0.99


@pytest.mark.parametrize("lean", [0.25, -0.05])
def test_leaning_shortens_the_keys_of_what_was_not_read_but_not_the_sinks(ids, lean: float) -> None:
    network = networks.llama(num_hidden_layers=3)
    own, positions = memory(network, ids), SUBSETS["scattered"]
    cache = read_in_place(network, own, ids[positions], positions, lean=lean)
    found = snapshot_of(cache, config=network.config)
    others = np.setdiff1d(np.arange(1, CONTEXT), positions)
    np.testing.assert_allclose(found.keys[:, others], (1 - lean) * own.keys[:, others], atol=1e-5)
    np.testing.assert_array_equal(found.keys[:, 0], own.keys[:, 0])
    np.testing.assert_allclose(found.values[:, others], own.values[:, others], atol=1e-5)
    # What is read enters the first layer as ever, and the others by what it then sees.
    np.testing.assert_allclose(found.keys[0, positions], own.keys[0, positions], atol=1e-5)
    assert np.abs(found.keys[1:, positions] - own.keys[1:, positions]).max() > 1e-3


@pytest.mark.parametrize("lean", [-1.1, 1.1, float("nan")])
def test_one_can_lean_by_a_share_alone(ids, lean: float) -> None:
    network = networks.llama(num_hidden_layers=3)
    with pytest.raises(InvalidInput, match="it must be a share, -1 to 1") as caught:
        read_in_place(network, memory(network, ids), ids[3:5], [3, 4], lean=lean)
    assert caught.value.facts["field"] == "lean"


def test_a_memory_without_its_sink_is_refused(ids) -> None:
    network = networks.llama(num_hidden_layers=3)
    with pytest.raises(InvalidInput, match="attention sink"):
        read_in_place(network, memory(network, ids).select(np.arange(1, CONTEXT)), ids[3:5], [3, 4])


def test_a_memory_of_another_model_is_refused(ids) -> None:
    network, other = networks.llama(num_hidden_layers=3), networks.llama(num_hidden_layers=2)
    with pytest.raises(DimensionMismatch, match="layers"):
        read_in_place(other, memory(network, ids), ids[3:5], [3, 4])


def test_a_cache_that_has_dropped_what_a_reader_sees_is_refused(ids) -> None:
    network = networks.gemma(num_hidden_layers=3, sliding_window=WINDOW, layer_types=KINDS)
    cache = cache_of(memory(network, ids))
    with pytest.raises(InvalidInput, match="position 24 sees position 17 in layer 0; the memory holds that layer from"):
        read_in_place(network, cache, ids[24:CONTEXT], SUBSETS["last"])


def test_layers_without_some_tokens_keep_what_was_read_after_these(ids) -> None:
    network = networks.gemma(num_hidden_layers=3, sliding_window=WINDOW, layer_types=KINDS)
    own, positions = memory(network, ids), np.array([10, 29])
    handed = needed(spoilt(own, positions), reader=10)[0]
    assert set(handed.frame.starts) == {0, 3}
    read = read_in_place(network, replace(handed), ids[positions], positions)
    expected = continued(network, cache_of(own, config=network.config), ids)
    torch.testing.assert_close(continued(network, read, ids), expected, atol=2e-5, rtol=1e-4)


def test_what_a_question_attends_to_is_what_the_model_itself_attends_to(ids) -> None:
    network = networks.gemma(num_hidden_layers=3, sliding_window=WINDOW, layer_types=KINDS)
    found = attention_to(network, memory(network, ids), ids[CONTEXT:])
    network.set_attn_implementation("eager")
    with torch.inference_mode():
        seen = network(torch.from_numpy(ids[None]), output_attentions=True).attentions[1]  # the layer without a window
    expected = seen[0, :, CONTEXT:, 1:CONTEXT].sum((0, 1)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("question", [[], [networks.SHAPE["vocab_size"]]])
def test_a_question_without_tokens_of_the_model_is_refused(ids, question) -> None:
    network = networks.llama(num_hidden_layers=3)
    with pytest.raises(InvalidInput):
        attention_to(network, memory(network, ids), question)
