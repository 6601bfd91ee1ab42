"""How much a memory keeps of its own context, as its model reads on from it. The model is tiny, the contract is not."""

from dataclasses import replace

import numpy as np
import pytest

from factory.corpora import LEE, load_corpus
from factory.demonstration.memories import adapter_of, read_memory
from factory.measurement.own_memory import CONTINUATION, LEAST_PLACES, PLACES, measure
from kvcache.compression.compressor import compress, decompress
from kvcache.compression.plan import Ratio
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot, needed
from tests.tiny import text, tiny_model

LEAST = 4 * (LEAST_PLACES * CONTINUATION) // 3


@pytest.fixture(scope="module")
def memory(tiny):
    return read_memory(tiny, text(500, seed=3))


def with_frame(memory, **known):
    return KVSnapshot(replace(memory.frame, **known), memory.keys, memory.values)


def test_an_uncompressed_memory_keeps_everything(tiny, memory):
    found = measure(memory, tiny)
    assert found.retention.value == pytest.approx(1, abs=1e-4)
    assert found.retention.low == pytest.approx(found.retention.high, abs=1e-3)
    assert (found.places, found.tokens) == (PLACES, PLACES * (CONTINUATION - 1))


def test_a_compressed_memory_keeps_less_the_smaller_it_is(tiny, memory):
    kept = []
    for ratio in (3.0, 4.5):
        file = compress(memory, adapter=adapter_of(tiny), method="quantise", target=Ratio(ratio)).data
        kept.append(abs(1 - measure(decompress(file), tiny).retention.value))
    assert 1e-4 < kept[0] < kept[1]  # of a model that predicts nothing, an error may help as well as harm


def test_a_memory_of_other_tokens_than_its_file_names_is_not_measured(tiny, memory):
    stranger = read_memory(tiny, text(500, seed=4))
    forged = KVSnapshot(memory.frame, stranger.keys, stranger.values)
    ids = memory.frame.token_ids
    moved = with_frame(memory, token_ids=np.concatenate([ids[:1], np.roll(ids[1:], 77)]))
    for each in (forged, moved):
        with pytest.raises(InvalidInput, match="not of the tokens that its file names"):
            measure(each, tiny)


def test_a_context_that_does_not_help_has_no_retention(tiny):
    aimless = read_memory(tiny, text(500, seed=7))
    with pytest.raises(InvalidInput, match="does not help the model"):
        measure(aimless, tiny)


def test_a_short_context_is_read_on_from_at_fewer_places(tiny):
    found = measure(read_memory(tiny, text(LEAST + 20, seed=3)), tiny)
    assert LEAST_PLACES <= found.places < PLACES


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"token_ids": None}, "does not say which tokens"),
        ({"weights": "sha256:" + "0" * 64}, "the memory's are sha256:000"),
        ({"next_position": 900}, "399 tokens of the context were dropped"),
        ({"token_ids": np.full(501, 300, np.int32)}, "outside of 0 to 299"),
        ({"token_ids": np.full(501, 5, np.int32)}, "does not begin with the BOS token"),
    ],
    ids=["ids", "weights", "dropped", "vocabulary", "bos"],
)
def test_it_says_why_a_memory_cannot_be_measured(tiny, memory, known, reason):
    with pytest.raises(InvalidInput, match=reason):
        measure(with_frame(memory, **known), tiny)


def test_a_context_that_is_too_short_is_not_measured(tiny):
    with pytest.raises(InvalidInput, match="too few to read on at 4 places"):
        measure(read_memory(tiny, text(100, seed=3)), tiny)


def test_what_sliding_windows_have_dropped_cannot_be_measured():
    sliding = tiny_model(window=64)
    whole = read_memory(sliding, text(500, seed=3))
    assert measure(whole, sliding).retention.value == pytest.approx(1, abs=1e-4)
    with pytest.raises(InvalidInput, match="no longer holds what the token at"):
        measure(needed(whole)[0], sliding)


@pytest.mark.models
def test_a_real_memory_keeps_less_the_smaller_it_is_and_forged_ids_are_found_out(smollm2):
    news = max((each.text for each in load_corpus(LEE).documents), key=len)[:1200]
    memory = read_memory(smollm2, news)
    ids = memory.frame.token_ids
    forged = with_frame(memory, token_ids=np.concatenate([ids[:1], np.roll(ids[1:], 100)]))
    small = compress(memory, adapter=adapter_of(smollm2), method="quantise", target=Ratio(7.0)).data
    whole, kept = (measure(each, smollm2).retention for each in (memory, decompress(small)))
    assert whole.value == pytest.approx(1, abs=1e-3)
    assert 0.5 < kept.value < 0.97
    with pytest.raises(InvalidInput, match="not of the tokens that its file names"):
        measure(forged, smollm2)  # it has read what it would have to foretell: it would keep twice of everything
