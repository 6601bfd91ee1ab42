"""The first layer of tokens, against what the model really caches when it reads them."""

from typing import Any

import numpy as np
import pytest

from awareness_sdk.configurations import geometry_of
from awareness_sdk.first_layer import first_layer_of, first_layers_and_states, first_layers_of
from awareness_sdk.transformers_bridge import snapshot_of, target_tokens
from kvcache.rows import pack_rows
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from tests import networks
from tests.networks import SHAPE, llama, network_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


VOCABULARY = SHAPE["vocab_size"]


def biased() -> Any:
    model = llama(attention_bias=True)
    torch.nn.init.normal_(model.model.layers[0].self_attn.k_proj.bias)
    return model


def qwen() -> Any:
    model = network_of(transformers.Qwen3Config(**SHAPE, head_dim=8))
    torch.nn.init.normal_(model.model.layers[0].self_attn.k_norm.weight)
    return model


def gemma() -> Any:
    """Its embedding module multiplies by the square root of its width."""
    model = networks.gemma(sliding_window=8, layer_types=["sliding_attention", "full_attention"])
    torch.nn.init.normal_(model.model.layers[0].self_attn.k_norm.weight)
    return model


def older_gemma() -> Any:
    """Here the model itself multiplies."""
    return network_of(transformers.GemmaConfig(**SHAPE, head_dim=16))


def granite() -> Any:
    return network_of(transformers.GraniteConfig(**SHAPE, embedding_multiplier=3.0))


def partly_rotated() -> Any:
    return network_of(transformers.StableLmConfig(**SHAPE, partial_rotary_factor=0.5))


@pytest.fixture(params=[llama, biased, qwen, gemma, older_gemma, granite, partly_rotated])
def network(request: pytest.FixtureRequest) -> Any:
    return request.param()


def tokens(count: int = 30) -> np.ndarray:
    return np.random.default_rng(3).integers(1, VOCABULARY, count)


def read(network: Any, ids: np.ndarray, *, layers: int = 1) -> np.ndarray:
    """The first layers' rows of a prefill, their rotation undone."""
    cache = transformers.DynamicCache()
    with torch.inference_mode():
        network(torch.from_numpy(ids)[None], past_key_values=cache)
    snapshot = snapshot_of(cache, config=network.config)
    geometry = snapshot.frame.geometry
    rows = pack_rows(snapshot.keys, snapshot.values, geometry=geometry)
    return rows[:, : layers * geometry.layer_width]


def test_the_first_layer_is_what_a_prefill_caches(network: Any) -> None:
    ids = tokens()
    rows = first_layer_of(network, ids)
    assert rows.dtype == np.float32
    assert rows.shape == (30, geometry_of(network.config).layer_width)
    np.testing.assert_allclose(rows, read(network, ids), atol=1e-5)


def test_the_first_layers_are_what_a_prefill_after_bos_caches(network: Any) -> None:
    ids, layers = tokens(), geometry_of(network.config).layers
    rows = first_layers_of(network, ids, layers=layers, bos=1)
    np.testing.assert_allclose(rows, read(network, np.array([1, *ids]), layers=layers)[1:], atol=1e-4)
    np.testing.assert_allclose(first_layers_of(network, ids, layers=1, bos=1), first_layer_of(network, ids), atol=1e-6)


@pytest.mark.parametrize("count", [3, 4, 30])
def test_layers_with_windows_are_read_some_tokens_at_a_time_and_are_the_same(count: int) -> None:
    kinds = ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"]
    network, ids = networks.gemma(num_hidden_layers=4, sliding_window=8, layer_types=kinds), tokens(count)
    found = first_layers_and_states(network, ids, layers=4, bos=1)
    np.testing.assert_allclose(found.rows, read(network, np.array([1, *ids]), layers=4)[1:], atol=1e-4)
    entered: list[np.ndarray] = []
    network.model.layers[3].register_forward_pre_hook(lambda _layer, inputs: entered.append(inputs[0][0, 1:].numpy()))
    read(network, np.array([1, *ids]))
    np.testing.assert_allclose(found.states, entered[0], atol=1e-4)


def test_more_layers_than_the_model_has_are_refused() -> None:
    with pytest.raises(InvalidInput, match="layers is 9"):
        first_layers_of(llama(), tokens(), layers=9, bos=1)


def test_a_token_has_the_same_row_wherever_it_stands(network: Any) -> None:
    ids = np.array([5, 9, 5, 5, 9])
    rows = first_layer_of(network, ids)
    np.testing.assert_array_equal(rows, rows[[0, 1, 0, 0, 1]])


def test_more_tokens_than_a_batch_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    network = llama()
    whole = first_layer_of(network, tokens())
    monkeypatch.setattr("awareness_sdk.first_layer.BATCH", 4)
    np.testing.assert_allclose(first_layer_of(network, tokens()), whole, atol=1e-6)


def test_a_model_in_half_precision_is_taken() -> None:
    network = gemma()
    exact = first_layer_of(network, tokens())
    rows = first_layer_of(network.bfloat16(), tokens())
    assert rows.dtype == np.float32
    assert 0 < np.linalg.norm(rows - exact) < 0.02 * np.linalg.norm(exact)


def test_nothing_is_left_behind_in_the_model() -> None:
    network = llama()
    before = read(network, tokens())
    first_layer_of(network, tokens())
    np.testing.assert_array_equal(read(network, tokens()), before)


def gpt2() -> Any:
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4))


def scaled() -> Any:
    return llama(rope_parameters={"rope_type": "yarn", "factor": 2.0, "rope_theta": 1e4})


def interleaved() -> Any:
    return network_of(transformers.CohereConfig(**SHAPE))


def added_positions() -> Any:
    """A Llama whose embeddings carry their position too."""
    model = llama()
    places = torch.nn.Embedding(64, 32)
    forward = model.model.forward

    def moved(input_ids: Any, position_ids: Any, **more: Any) -> Any:
        embeddings = model.model.embed_tokens(input_ids) + places(position_ids)
        return forward(position_ids=position_ids, **more | {"inputs_embeds": embeddings})

    model.model.forward = moved
    return model


@pytest.mark.parametrize("make", [gpt2, scaled, interleaved, added_positions])
def test_it_refuses_a_model_whose_first_layer_depends_on_more_than_the_token(make: Any) -> None:
    with pytest.raises(ModelNotSupported) as refused:
        first_layer_of(make().eval(), tokens())
    assert "without the correction" in refused.value.advice


@pytest.mark.parametrize("ids", [[], [[1, 2]], [1.0], [-1], [VOCABULARY]])
def test_it_refuses_what_are_no_tokens_of_the_model(ids: Any) -> None:
    with pytest.raises(InvalidInput, match="token_ids"):
        first_layer_of(llama(), ids)


class Letters:
    """A tokenizer of single letters, as transformers' fast ones answer."""

    is_fast = True
    bos_token_id: int | None = 1

    def __call__(self, text: str, **_: Any) -> dict[str, Any]:
        return {
            "input_ids": [2 + ord(letter) % 40 for letter in text],
            "offset_mapping": [(i, i + 1) for i in range(len(text))],
        }


def test_a_text_becomes_the_targets_tokens_with_bos_in_front() -> None:
    network = llama()
    target = target_tokens(network, Letters(), "abca")
    assert target.ids is not None
    assert target.first_layer is not None
    assert np.asarray(target.spans).tolist() == [[0, 0], [0, 1], [1, 2], [2, 3], [3, 4]]
    assert target.ids[0] == 1
    np.testing.assert_allclose(target.first_layer, read(network, target.ids.astype(np.int64)), atol=1e-5)


def test_the_last_tokens_can_be_left_for_the_target_to_read() -> None:
    network = llama()
    whole, fewer = (target_tokens(network, Letters(), "abca", leave=leave) for leave in (0, 2))
    assert whole.first_layer is not None
    assert fewer.first_layer is not None
    np.testing.assert_array_equal(fewer.spans, whole.spans[:-2])
    np.testing.assert_allclose(fewer.first_layer, whole.first_layer[:-2], atol=1e-5)
    with pytest.raises(InvalidInput, match="4 cannot be left out"):
        target_tokens(network, Letters(), "abca", leave=4)


def test_a_tokenizer_without_bos_gives_none() -> None:
    letters = Letters()
    letters.bos_token_id = None
    assert len(target_tokens(llama(), letters, "abca").spans) == 4


def test_it_refuses_an_empty_text_and_a_tokenizer_without_spans() -> None:
    slow = Letters()
    slow.is_fast = False
    for tokenizer, text in ((Letters(), ""), (slow, "abc")):
        with pytest.raises(InvalidInput):
            target_tokens(llama(), tokenizer, text)
