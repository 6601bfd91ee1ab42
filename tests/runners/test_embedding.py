"""Vectors of passages by small networks with random weights, and by the real sentence encoder where asked for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentmas.protocol.errors import ModelNotSupported
from latentmas.runners.embedding import EmbeddingModel, _require_mean_pooling, load_embedding_model
from latentmas.runners.weights import PACKAGED, Weights, find_weights
from tests.networks import llama

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
PASSAGES = ["one", "a somewhat longer passage", "words"]


class Letters:
    """A tokenizer whose tokens are letters; an encoder's are framed by 1 and 2."""

    def __call__(self, text: str, *, add_special_tokens: bool, truncation: bool, max_length: int | None) -> Any:
        ids = [ord(letter) for letter in text]
        ids = [1, *ids, 2] if add_special_tokens else ids
        return {"input_ids": ids[:max_length] if truncation else ids}


def network() -> Any:
    return llama(vocab_size=256, hidden_size=16).model


def model(**changes: Any) -> EmbeddingModel:
    fields = {"name": "tiny", "weights": "sha256:" + "1" * 64, "dimension": 16, "network": network()}
    fields |= {"tokenizer": Letters(), "bos": 3, "max_tokens": None, "normalised": False}
    return EmbeddingModel(**fields | changes)


def test_a_vector_is_the_mean_of_the_last_states_without_bos() -> None:
    tiny = model()
    with torch.inference_mode():
        states = tiny.network(input_ids=torch.tensor([[3, *map(ord, "one")]])).last_hidden_state[0]
    np.testing.assert_allclose(tiny.embed(["one"])[0], states[1:].mean(0).numpy(), rtol=1e-5, atol=1e-6)


def test_the_other_passages_of_a_batch_change_nothing() -> None:
    tiny = model()
    together = tiny.embed(PASSAGES)
    alone = np.concatenate([tiny.embed([passage]) for passage in PASSAGES])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)


def test_an_encoders_own_tokens_count_and_its_vectors_have_length_one() -> None:
    encoder = model(bos=None, normalised=True)
    with torch.inference_mode():
        states = encoder.network(input_ids=torch.tensor([[1, *map(ord, "one"), 2]])).last_hidden_state[0]
    mean = states.mean(0).numpy()
    np.testing.assert_allclose(encoder.embed(["one"])[0], mean / np.linalg.norm(mean), rtol=1e-4, atol=1e-6)


def test_a_long_passage_is_cut_where_the_encoder_says() -> None:
    encoder = model(bos=None, max_tokens=4)
    np.testing.assert_allclose(encoder.embed(["abcdefgh"]), encoder.embed(["abcz"]), rtol=1e-5)


def test_a_passage_without_tokens_is_refused() -> None:
    with pytest.raises(ModelNotSupported, match="reads no token"):
        model().embed([""])


def test_an_encoder_that_pools_otherwise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "modules.json").write_text(json.dumps([{"type": f"x.{name}"} for name in ("Transformer", "Pooling")]))
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    with pytest.raises(ModelNotSupported, match="pools by pooling_mode_cls_token"):
        _require_mean_pooling(Weights("encoder", tmp_path, "sha256:0"))


def test_a_sentence_encoder_is_not_among_the_models_with_a_cache() -> None:
    assert "all-minilm-l6-v2" not in PACKAGED


@pytest.mark.models
def test_the_packaged_encoder_puts_paraphrases_near_each_other(settings) -> None:
    encoder = load_embedding_model(find_weights("all-minilm-l6-v2", cache=settings.CACHE_DIR))
    assert (encoder.dimension, encoder.max_tokens, encoder.normalised) == (384, 256, True)
    same, alike, other = encoder.embed(["A man is eating food.", "A man eats something.", "The sky is clear tonight."])
    np.testing.assert_allclose(np.linalg.norm([same, alike, other], axis=1), 1, rtol=1e-5)
    assert same @ alike > 0.6
    assert same @ other < 0.2
