"""What is read from a model's configuration, and what is refused; no weights are needed."""

from typing import Any

import pytest

from factory.runners.model import geometry_of
from kvcache.adapters import adapter_for
from latentmas.protocol.errors import ModelNotSupported
from latentmas.protocol.geometry import KVGeometry
from latentmas.registry.data_file import read_entries

transformers = pytest.importorskip("transformers")

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}


def registered(name: str) -> KVGeometry | None:
    entry = next(each for each in read_entries() if each.name == name)
    facts = entry.facts
    return adapter_for(name, family=facts.family, architecture=facts.architecture, threshold=0.9).geometry


def test_a_window_without_kinds_of_layers_is_every_layers() -> None:
    config = transformers.MistralConfig(**SHAPE, sliding_window=4096)
    assert getattr(config, "layer_types", None) is None
    assert geometry_of(config, "mistral").windows == (4096, 4096)


def test_mistral_is_read_as_the_registry_has_it() -> None:
    assert geometry_of(transformers.MistralConfig(), "mistral-7b") == registered("mistral-7b")


def test_a_model_without_a_window_sees_everything() -> None:
    assert geometry_of(transformers.MistralConfig(**SHAPE, sliding_window=None), "mistral").windows == (None, None)


def test_sliding_and_full_layers_have_their_own_windows_and_bases() -> None:
    config = transformers.Gemma3TextConfig(**SHAPE | {"num_hidden_layers": 6}, head_dim=16, sliding_window=8)
    geometry = geometry_of(config, "gemma")
    assert geometry.windows == (8, 8, 8, 8, 8, None)
    assert geometry.thetas == (1e4, 1e4, 1e4, 1e4, 1e4, 1e6)


SCALED = {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (transformers.DeepseekV3Config(num_hidden_layers=2), r"one caches a latent \(MLA\)"),
        (transformers.GPT2Config(n_layer=2), "one does not say how it rotates its keys"),
        (transformers.LlamaConfig(**SHAPE, rope_parameters=SCALED), r"one scales its rotation \(linear\)"),
        (transformers.Llama4TextConfig(**SHAPE), "keep no plain KV-cache"),
    ],
    ids=lambda each: getattr(each, "model_type", None),
)
def test_what_cannot_be_undone_or_keeps_no_such_cache_is_refused(config: Any, reason: str) -> None:
    with pytest.raises(ModelNotSupported, match=reason):
        geometry_of(config, "one")
