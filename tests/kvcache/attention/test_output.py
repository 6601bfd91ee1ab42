import numpy as np
import pytest

from kvcache.attention.output import OutputError, attention_output, output_error
from kvcache.attention.queries import check_queries
from kvcache.kernels.attention import alibi_slopes
from latentmas.protocol.snapshot import KVSnapshot
from tests.kvcache.caches import adapter, queries, snapshot


def by_hand(cache: KVSnapshot, query: np.ndarray, layer: int, head: int, seen: slice, **how: float) -> np.ndarray:
    """softmax(q k / sqrt(d)) v of one query head, in float64."""
    keys = cache.keys[layer, seen, head // 2].astype("f8")
    logits = keys @ query[layer, 0, head].astype("f8") / 4
    if "slope" in how:
        logits = logits + how["slope"] * np.arange(len(logits))
    if "softcap" in how:
        logits = how["softcap"] * np.tanh(logits / how["softcap"])
    weights = np.exp(logits - logits.max())
    return weights / weights.sum() @ cache.values[layer, seen, head // 2]


@pytest.mark.parametrize("position", [0, 5, 19, 30])
def test_a_query_reads_what_lies_before_it(position: int) -> None:
    cache, asked = snapshot(20), queries(1)
    output = attention_output(cache, asked, np.array([position]), adapter=adapter())
    for layer in range(2):
        for head in range(4):
            expected = by_hand(cache, asked, layer, head, slice(0, position + 1))
            np.testing.assert_allclose(output[layer][0, head], expected, atol=1e-5)


def test_a_sliding_layer_reads_its_window_only() -> None:
    sliding = adapter(attention_type="sliding", sliding_window=8, layer_pattern=("sliding", "full"))
    cache, asked = snapshot(20, sliding), queries(1)
    output = attention_output(cache, asked, np.array([19]), adapter=sliding)
    np.testing.assert_allclose(output[0][0, 1], by_hand(cache, asked, 0, 1, slice(12, 20)), atol=1e-5)
    np.testing.assert_allclose(output[1][0, 1], by_hand(cache, asked, 1, 1, slice(0, 20)), atol=1e-5)


def test_softcap_and_alibi_are_part_of_the_logits() -> None:
    cache, asked = snapshot(20), queries(1)
    capped = attention_output(cache, asked, np.array([20]), adapter=adapter(attention_softcap=2.0))
    np.testing.assert_allclose(capped[0][0, 3], by_hand(cache, asked, 0, 3, slice(0, 20), softcap=2.0), atol=1e-5)
    alibi = adapter(attention_type="alibi", position_encoding="alibi", rope=None)
    biased = attention_output(snapshot(20, alibi), asked, np.array([20]), adapter=alibi)
    expected = by_hand(cache, asked, 0, 3, slice(0, 20), slope=alibi_slopes(4)[3])
    np.testing.assert_allclose(biased[0][0, 3], expected, atol=1e-5)


def test_the_same_cache_has_no_error_and_a_damaged_one_has() -> None:
    cache, asked = snapshot(40), queries(200)
    positions = np.arange(-160, 40)
    assert output_error(cache, cache, asked, positions, adapter=adapter()) == OutputError(0, 0)
    halved = KVSnapshot(cache.frame, cache.keys, cache.values / 2)
    error = output_error(halved, cache, asked, positions, adapter=adapter())
    assert (error.relative, error.lost) == (pytest.approx(0.5, abs=1e-5), pytest.approx(0.25, abs=1e-5))
    assert output_error(cache, cache, asked[:, :1], np.array([-1]), adapter=adapter()) is None


def test_queries_without_rope_are_rotated_at_their_positions() -> None:
    cache, asked = snapshot(20), queries(1)
    at_zero, _ = check_queries(asked, [0], frame=cache.frame, adapter=adapter(), rope_applied=False)
    at_seven, _ = check_queries(asked, [7], frame=cache.frame, adapter=adapter(), rope_applied=False)
    np.testing.assert_allclose(at_zero, asked, atol=1e-6)
    first, partner = asked[0, 0, 0, 0], asked[0, 0, 0, 8]
    assert at_seven[0, 0, 0, 0] == pytest.approx(first * np.cos(7) - partner * np.sin(7), abs=1e-5)
