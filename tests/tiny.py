"""A model small enough to calibrate in seconds, and text for it. Its weights are random, so it predicts nothing."""

import hashlib
from typing import Any

import numpy as np

from factory.corpora import Document, Split, TextCorpus
from factory.runners.model import RunningModel, geometry_of
from tests.networks import SHAPE, network_of

NAME = "smollm2-135m"  # as the registry has it; publishing needs a name that is there
WEIGHTS = "sha256:" + "7e" * 32
BOS = 0
VOCABULARY = 300
WORDS = ("cache", "token", "layer", "head", "basis", "step", "profile", "window", "sink", "model", "rope", "stream")


class ByteTokenizer:
    """A token for every byte, as a transformers tokenizer gives them."""

    def decode(self, ids: list[int], **_options: Any) -> str:
        return "".join("<s>" if each == BOS else chr(each - 1) for each in ids)

    def __call__(self, text: str, **_options: Any) -> dict[str, list[Any]]:
        data = text.encode("ascii")
        return {"input_ids": [1 + byte for byte in data], "offset_mapping": [(at, at + 1) for at in range(len(data))]}


def tiny_model(*, window: int | None = None) -> RunningModel:
    """Two layers, two KV heads of 16; with a `window` the first layer slides."""
    from transformers import LlamaConfig, Qwen2Config

    shape = SHAPE | {"vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 64, "head_dim": 16}
    shape |= {"initializer_range": 0.25}
    config: Any = LlamaConfig(**shape)
    if window is not None:
        kinds = ["sliding_attention", "full_attention"]
        config = Qwen2Config(**shape, use_sliding_window=True, sliding_window=window, layer_types=kinds)
    network = network_of(config, seed=0).requires_grad_(False)
    return RunningModel(
        name=NAME,
        weights=WEIGHTS,
        geometry=geometry_of(network.config, NAME),
        bos=BOS,
        network=network,
        tokenizer=ByteTokenizer(),
    )


def text(characters: int, seed: int) -> str:
    words = np.random.default_rng(seed).choice(WORDS, size=characters // 3)
    return " ".join(words)[:characters]


def document(characters: int, seed: int = 0) -> Document:
    content = text(characters, seed)
    return Document(content, hashlib.sha256(content.encode()).hexdigest())


def corpus(documents: int = 24, characters: int = 700) -> TextCorpus:
    found = sorted((document(characters, seed) for seed in range(documents)), key=lambda each: each.digest)
    digest = hashlib.sha256("\n".join(each.digest for each in found).encode()).hexdigest()
    made = TextCorpus("words", f"sha256:{digest}", tuple(found))
    assert made.part(Split.CALIBRATION)
    assert made.part(Split.SELECTION)
    return made
