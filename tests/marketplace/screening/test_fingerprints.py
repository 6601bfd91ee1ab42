"""What fingerprints of a model's real memories have in common, and what they tell to whom."""

from dataclasses import replace

import numpy as np
import pytest

from factory.demonstration.memories import adapter_of
from kvcache.compression.compressor import compress, decompress
from kvcache.compression.plan import Ratio
from latentmas.protocol.snapshot import KVSnapshot
from marketplace.screening.fingerprints import PERMUTATIONS, PLACE, fingerprint_of, similarity
from marketplace.screening.grams import grams_of, layers_of
from tests.marketplace.screening.sample import letters, read, without_ids

TEXT = letters(400, 1)


def quantised(model, snapshot, ratio):
    return decompress(compress(snapshot, adapter=adapter_of(model), method="quantise", target=Ratio(ratio)).data)


def shared(one, other, basis):
    return float(similarity(fingerprint_of([one]).of(basis), [fingerprint_of([other]).of(basis)])[0])


@pytest.fixture(scope="module")
def whole(tiny):
    return read(tiny, TEXT)


def test_a_memory_is_itself(whole):
    assert shared(whole, whole, "tokens") == shared(whole, whole, "rows") == 1


def test_two_compressions_of_a_memory_are_similar_by_its_values_and_the_same_by_its_tokens(tiny, whole):
    lossy = [quantised(tiny, whole, ratio) for ratio in (2.2, 3.0)]
    for each in lossy:
        assert shared(whole, each, "tokens") == 1
        assert shared(whole, each, "rows") > 0.5
    assert shared(*lossy, "rows") > 0.5


def test_half_precision_leaves_nearly_all_values_where_they_are(whole):
    half = KVSnapshot(whole.frame, whole.keys.astype(np.float16), whole.values.astype(np.float16))
    assert shared(whole, half, "rows") > 0.95


@pytest.mark.parametrize(
    "changed",
    [TEXT[:180] + letters(40, 7) + TEXT[220:], letters(40, 7) + TEXT[40:], TEXT[80:]],
    ids=["in the middle", "at the beginning", "cut short"],
)
@pytest.mark.parametrize("basis", ["tokens", "rows"])
def test_a_memory_with_a_small_part_changed_is_similar(tiny, whole, changed, basis):
    assert 0.65 < shared(whole, read(tiny, changed), basis) < 0.95


@pytest.mark.parametrize("seed", range(2, 8))
def test_memories_of_other_texts_are_not(tiny, whole, seed):
    stranger = read(tiny, letters(400, seed))
    assert max(shared(whole, stranger, basis) for basis in ("tokens", "rows")) < 0.1


def test_a_memory_whose_ids_were_left_out_or_forged_is_known_by_its_values(whole):
    forged = replace(whole.frame, token_ids=whole.frame.token_ids[::-1].copy())
    assert fingerprint_of([without_ids(whole)]).tokens is None
    for copy in (without_ids(whole), KVSnapshot(forged, whole.keys, whole.values)):
        assert shared(whole, copy, "rows") == 1


def test_tokens_that_were_dropped_break_the_grams_around_them(whole):
    tokens = whole.frame.tokens
    kept = np.delete(np.arange(tokens), np.arange(40, tokens, 40))
    assert 0.7 < shared(whole, whole.select(kept), "tokens") < 0.95
    alone = whole.select(np.arange(0, tokens, 2))
    assert fingerprint_of([alone]).tokens is None
    assert fingerprint_of([alone]).rows is None


def test_a_layer_counts_with_the_tokens_that_it_still_holds(whole):
    frame = replace(whole.frame, starts=(300, 0))
    values = whole.values.copy()
    values[0, :300] = 0
    cropped = KVSnapshot(frame, whole.keys, values)
    found = grams_of(cropped, "rows", key=b"key")
    assert found < grams_of(whole, "rows", key=b"key")
    assert len(found) < 110


def test_early_layers_count_and_one_that_holds_all_tokens(whole):
    geometry = replace(whole.frame.geometry, layers=18, thetas=(1e4,) * 18, windows=((512,) * 5 + (None,)) * 3)
    assert layers_of(geometry) == [0, 1, 2, 3, 5]
    assert layers_of(replace(geometry, layers=30, thetas=(1e4,) * 30, windows=(None,) * 30)) == [0, 1, 3, 5]


def test_segments_count_together(tiny, whole):
    stranger = read(tiny, letters(400, 2))
    both = fingerprint_of([whole, stranger])
    assert 0.35 < float(similarity(both.tokens, [fingerprint_of([whole]).tokens])[0]) < 0.65


def test_another_secret_key_gives_fingerprints_that_share_nothing(whole, settings):
    mine = fingerprint_of([whole])
    settings.SECRET_KEY = "another key altogether"
    theirs = fingerprint_of([whole])
    assert mine.key_id != theirs.key_id
    assert not set(mine.bands) & set(theirs.bands)
    for basis in ("tokens", "rows"):
        assert similarity(mine.of(basis), [theirs.of(basis)])[0] < 0.03


def test_the_same_text_in_another_model_is_another_memory(whole):
    other = KVSnapshot(replace(whole.frame, model="gemma-3-270m"), whole.keys, whole.values)
    assert shared(whole, other, "tokens") < 0.03


def test_a_fingerprint_has_one_size_whatever_it_is_of(tiny, whole):
    size = PERMUTATIONS * PLACE.itemsize
    for found in (fingerprint_of([whole]), fingerprint_of([read(tiny, TEXT[:20])])):
        assert (len(found.tokens), len(found.rows)) == (size, size)
