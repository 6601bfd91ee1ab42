"""Sequences that are read together are read as if each were alone."""

import numpy as np
import pytest
import torch
from transformers.cache_utils import DynamicCache

from awareness_sdk.transformers_bridge import cache_of, snapshot_of
from factory.runners.likelihood import nll_by
from factory.runners.model import RunningModel
from factory.runners.reading import Reading
from latentmas.runners.onednn import PIECE, OneDnnHead
from tests.tiny import tiny_model

IDS = tuple(int(each) for each in np.random.default_rng(0).integers(1, 250, 90))


@pytest.fixture(scope="module", params=[None, 16])
def model(request: pytest.FixtureRequest) -> RunningModel:
    return tiny_model(window=request.param)


def gapped(model: RunningModel) -> DynamicCache:
    """A cache that lacks every third token."""
    cache = model.prefill(IDS[:40])
    kept = np.array([each for each in range(41) if each % 3 != 1])
    return cache_of(snapshot_of(cache, geometry=model.geometry).select(kept), config=model.network.config)


def nlls_alone(model: RunningModel, cache: DynamicCache, ids: tuple[int, ...]) -> np.ndarray:
    """By the model's own forward pass."""
    first = cache.get_seq_length()
    with torch.inference_mode():
        logits = model.network(
            torch.tensor([ids[:-1]]),
            past_key_values=cache,
            position_ids=torch.arange(first, first + len(ids) - 1)[None],
        ).logits[0]
        return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").numpy()


def test_a_pack_gives_what_each_reading_gives_alone(model: RunningModel) -> None:
    caches = [lambda: model.prefill(()), lambda: model.prefill(IDS[:40]), lambda: gapped(model), DynamicCache]
    texts = [IDS[40:], IDS[40:60], IDS[40:47], (model.bos, *IDS)]
    alone = [nlls_alone(model, cache(), ids) for cache, ids in zip(caches, texts, strict=True)]
    found = model.nlls(Reading(cache(), ids, scored=5) for cache, ids in zip(caches, texts, strict=True))
    for mine, wanted in zip(found, alone, strict=True):
        np.testing.assert_allclose(mine, wanted[-5:], atol=1e-5)


def test_caches_grow_by_what_was_read_and_attention_is_watched_where_asked_for(model: RunningModel) -> None:
    readings = [Reading(model.prefill(IDS[:40]), IDS[40:], 1, watched=watched) for watched in (True, False)]
    model.nlls(readings)
    assert [each.cache.get_seq_length() for each in readings] == [41 + 49] * 2
    assert [len(each.attention) for each in readings] == [model.geometry.layers, 0]
    assert readings[0].attention[0].shape == (49, 64)
    assert model.network.config._attn_implementation == "sdpa"


def test_readings_are_taken_up_pack_by_pack(model: RunningModel) -> None:
    """A cache takes memory: the next one is not made before there is room."""
    made, read = 0, []
    head = model.network.lm_head.register_forward_hook(lambda *_: read.append(made))

    def readings():
        nonlocal made
        for _ in range(12):
            made += 1
            yield Reading(model.prefill(()), IDS, scored=1)

    try:
        assert len(model.nlls(readings())) == 12
    finally:
        head.remove()
    assert read == [3, 6, 9, 12]  # of 90 tokens each


def test_a_heads_pieces_give_the_nll_of_the_whole() -> None:
    torch.manual_seed(0)
    dense = torch.nn.Linear(8, PIECE + 50)
    hidden, tokens = torch.randn(300, 8), torch.randint(0, PIECE + 50, (300,))
    with torch.inference_mode():
        wanted = torch.nn.functional.cross_entropy(dense(hidden), tokens, reduction="none")
        head = OneDnnHead(dense.weight, dense.bias)
    torch.testing.assert_close(nll_by(head, hidden, tokens), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(nll_by(dense, hidden, tokens), wanted, atol=1e-5, rtol=1e-5)
