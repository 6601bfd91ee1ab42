from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kvcache.compression.compressor import compress, decompress
from kvcache.compression.container import read_kvz
from kvcache.compression.plan import KLBound, Ratio, Threshold
from kvcache.compression.quality import validate
from latentmas.protocol.architecture import Rope, RopeScaling
from latentmas.protocol.errors import (
    DimensionMismatch,
    InvalidInput,
    LatentMASError,
    ModelNotSupported,
    QualityBelowThreshold,
)
from latentmas.protocol.plain import plain_queries, plain_snapshot
from latentmas.protocol.snapshot import KVSnapshot
from tests.kvcache.caches import adapter, profile, queries, snapshot

GENERATOR = np.random.default_rng(3)
KEYS, VALUES = GENERATOR.normal(size=(100, 128)), GENERATOR.normal(size=(100, 128))


def test_a_raw_cache_comes_back_as_it_was() -> None:
    cache = snapshot(50)
    done = compress(cache, adapter=adapter(), method="raw")
    again = decompress(done.data)
    np.testing.assert_array_equal(again.keys, cache.keys)
    np.testing.assert_array_equal(again.frame.positions, cache.frame.positions)
    assert (done.method, done.kept, done.metrics.token_savings) == ("raw", None, 0)


def test_a_selection_keeps_the_original_positions() -> None:
    cache, asked = snapshot(300), queries(20)
    done = compress(cache, adapter=adapter(), queries=asked, target=Threshold(0.8))
    again = decompress(done.data)
    assert done.method == "select"
    assert done.kept is not None
    assert 10 <= len(done.kept) < 300
    assert again.frame.positions.tolist() == done.kept.tolist()
    assert again.frame.next_position == 300
    np.testing.assert_allclose(again.keys, cache.keys[:, done.kept], rtol=1e-3, atol=1e-3)
    assert done.metrics.cumulative_attention >= 0.8
    assert done.reached
    assert done.metrics.token_savings == 300 - len(done.kept)
    selection = read_kvz(done.data).selection
    assert selection["of_tokens"] == 300
    assert float(selection["coverage"]) == done.metrics.cumulative_attention


def test_a_lower_threshold_keeps_fewer_tokens() -> None:
    kept = [
        len(compress(snapshot(300), adapter=adapter(), queries=queries(20), target=Threshold(coverage)).kept)
        for coverage in (0.5, 0.8, 0.95)
    ]
    assert kept == sorted(kept)
    assert kept[0] < kept[-1]


def test_the_cap_wins_over_the_threshold_and_the_answer_says_so() -> None:
    done = compress(snapshot(300), adapter=adapter(), queries=queries(20), target=Threshold(0.99, max_tokens=20))
    assert len(done.kept) == 20
    assert not done.reached


def test_without_a_target_queries_lead_to_the_recommended_selection() -> None:
    done = compress(snapshot(300), adapter=adapter(), queries=queries(20))
    assert done.method == "select"
    assert done.metrics.cumulative_attention >= 0.9


@pytest.mark.parametrize("ratio", [2, 3.5, 4, 5])
def test_a_ratio_is_reached_in_real_bytes(ratio: float) -> None:
    cache = snapshot(400)
    done = compress(cache, adapter=adapter(), target=Ratio(ratio))
    assert done.metrics.ratio >= ratio
    assert done.metrics.ratio == cache.frame.raw_bytes / len(done.data)
    assert (done.method, done.kept) == ("quantise", None)


def test_a_ratio_beyond_the_bits_costs_tokens_where_queries_say_which() -> None:
    done = compress(snapshot(600), adapter=adapter(), queries=queries(20), target=Ratio(12))
    assert done.method == "select+quantise"
    assert done.metrics.ratio >= 12
    assert done.kept is not None
    assert decompress(done.data).frame.positions.tolist() == done.kept.tolist()


def test_selection_alone_can_reach_a_ratio() -> None:
    done = compress(snapshot(600), adapter=adapter(), queries=queries(20), method="select", target=Ratio(3))
    assert done.metrics.ratio >= 3


def test_a_ratio_out_of_reach_says_what_is_reachable() -> None:
    with pytest.raises(QualityBelowThreshold, match="a ratio of 20 is out of reach") as caught:
        compress(snapshot(400), adapter=adapter(), target=Ratio(20))
    assert caught.value.facts["reachable"] > 3
    assert "a codec profile or queries" in caught.value.advice


def test_the_same_input_gives_the_same_bytes() -> None:
    once, again = (
        compress(snapshot(200), adapter=adapter(), queries=queries(9), method="select+quantise") for _ in range(2)
    )
    assert once.data == again.data


def test_metrics_are_measured_or_absent() -> None:
    metrics = compress(snapshot(200), adapter=adapter(), method="quantise", time_decompression=True).metrics
    assert metrics.compression_time_ms > 0
    assert metrics.decompression_time_ms > 0
    assert (metrics.ttft_ms, metrics.cumulative_attention, metrics.profile_bytes) == (None, None, None)
    assert metrics.bandwidth_savings_bytes == metrics.original_bytes - metrics.compressed_bytes
    assert metrics.bandwidth_savings_percent == pytest.approx(100 * (1 - 1 / metrics.ratio))
    assert metrics.saved == pytest.approx(metrics.bandwidth_savings_percent / 100)
    assert compress(snapshot(200), adapter=adapter(), method="raw").metrics.decompression_time_ms is None


def test_tokens_behind_the_window_are_neither_coded_nor_counted_as_saved() -> None:
    sliding = adapter(attention_type="sliding", sliding_window=33)
    cache = snapshot(200, sliding)
    done = compress(cache, adapter=sliding, method="raw")
    assert done.metrics.original_bytes == 32 * sliding.geometry.width * 2
    assert done.kept.tolist() == list(range(168, 200))
    assert done.metrics.token_savings == 0
    mixed = adapter(attention_type="sliding", sliding_window=33, layer_pattern=("sliding", "full"))
    again = decompress(compress(snapshot(200, mixed), adapter=mixed, method="quantise").data)
    assert again.frame.starts == (168, 0)
    assert not again.keys[0, :168].any()


KINDS: list[dict[str, Any]] = [
    {"attention_type": "full"},
    {"attention_type": "sliding", "sliding_window": 64},
    {"attention_type": "prefix-lm", "position_encoding": "rope-2d"},
    {"attention_type": "sparse"},
    {"attention_type": "alibi", "position_encoding": "alibi", "rope": None},
    {"attention_type": "mla", "kv_lora_rank": 24, "qk_rope_head_dim": 8, "head_dim": None},
    {"attention_softcap": 30.0},
    {"rope": Rope(theta=1e4, layout="interleaved", rotary_dim=8)},
    {"rope": Rope(theta=1e4, layout="half", scaling=RopeScaling(type="llama3", factor=8.0))},
]


@pytest.mark.parametrize("facts", KINDS)
def test_every_kind_of_attention_is_selected_from_coded_and_judged(facts: dict[str, Any]) -> None:
    made_for = adapter(**facts)
    cache, latent = snapshot(300, made_for), facts.get("kv_lora_rank", 0)
    width = made_for.geometry.head_dim + latent
    asked = GENERATOR.normal(size=(2, 8, 4, width)).astype("f4")
    done = compress(cache, adapter=made_for, queries=asked, method="select+quantise", target=Threshold(0.95))
    again = decompress(done.data)
    assert again.frame.positions.tolist() == done.kept.tolist()
    report = validate(done.data, adapter=made_for, original=cache, queries=asked)
    assert report.figures["attention_coverage"] == pytest.approx(done.metrics.cumulative_attention, abs=1e-4)
    assert report.figures["information_loss"] < 0.5


def test_queries_whose_rotation_cannot_be_applied_must_come_rotated() -> None:
    kept = adapter(rope=Rope(theta=1e4, layout="interleaved"))
    with pytest.raises(InvalidInput, match="the rotation of small is not one that can be applied here") as caught:
        compress(snapshot(40, kept), adapter=kept, queries=queries(4, kept), rope_applied=False)
    assert caught.value.facts["field"] == "rope_applied"


def test_plain_arrays_are_compressed_as_the_specification_has_it() -> None:
    plain = plain_snapshot(KEYS.tolist(), VALUES.tolist())
    asked = plain_queries(GENERATOR.normal(size=(5, 128)).tolist())
    closed = replace(adapter(), model="gpt-4", geometry=None, query_heads=None, scale=None, attention_type=None)
    done = compress(plain, adapter=closed, queries=asked, query_positions=[99] * 5)
    again = decompress(done.data)
    np.testing.assert_allclose(again.keys[0, :, 0], KEYS[done.kept], atol=2e-3)
    assert done.metrics.cumulative_attention >= 0.9


def test_plain_values_may_be_wider_than_keys() -> None:
    plain = plain_snapshot(KEYS, np.concatenate([VALUES, VALUES], -1))
    again = decompress(compress(plain, adapter=adapter(), method="raw").data)
    assert again.values.shape == (1, 100, 1, 256)


def holed(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array[3, 5] = value
    return array


@pytest.mark.parametrize(
    ("keys", "values", "field", "said"),
    [
        (holed(KEYS, np.nan), VALUES, "keys", r"keys holds nan at \[3, 5\]; every number must be finite"),
        (KEYS, holed(VALUES, -np.inf), "values", r"values holds -inf at \[3, 5\]"),
        (holed(KEYS, 1e300), VALUES, "keys", r"keys holds inf at \[3, 5\]"),
        (KEYS[0], VALUES, "keys", r"keys has the shape \(128,\); it must have rank 2"),
        (KEYS[None], VALUES, "keys", r"keys has the shape \(1, 100, 128\); it must have rank 2"),
        (KEYS, VALUES[:99], "values", "values has 99 tokens and keys has 100; both must have as many"),
        ([[1.0, 2.0], [1.0]], VALUES, "keys", "keys has rows of differing lengths"),
        ([["a"]], VALUES, "keys", "keys holds <U1; it must hold numbers"),
        ([], [], "keys", r"keys has the shape \(0,\)"),
        (np.zeros((0, 128)), VALUES, "keys", "it must hold at least one token"),
    ],
)
def test_bad_plain_arrays_are_refused_by_name(keys: Any, values: Any, field: str, said: str) -> None:
    with pytest.raises(LatentMASError, match=said) as caught:
        plain_snapshot(keys, values)
    assert caught.value.facts["field"] == field


@pytest.mark.parametrize("tokens", [1, 9])
def test_too_few_tokens_for_a_selection_are_refused(tokens: int) -> None:
    with pytest.raises(InvalidInput, match=f"the cache has {tokens} token.*a selection needs at least 10"):
        compress(snapshot(tokens), adapter=adapter(), queries=queries(1), target=Threshold(0.9))
    assert decompress(compress(snapshot(tokens), adapter=adapter(), method="quantise").data).frame.tokens == tokens


def test_queries_that_do_not_fit_are_refused() -> None:
    cache = snapshot(40)
    bad = queries(4)
    bad[1, 2, 3, 4] = np.inf
    for asked, said in (
        (queries(4)[:, :, :3], "queries has 3 heads; it must have 4"),
        (queries(4)[:1], r"it must be \[2, n, query heads, 16\]"),
        (queries(4)[0], "it must have rank 4"),
        (bad, r"queries holds inf at \[1, 2, 3, 4\]"),
    ):
        with pytest.raises(LatentMASError, match=said) as caught:
            compress(cache, adapter=adapter(), queries=asked, target=Threshold(0.9))
        assert caught.value.facts["field"] == "queries"
    with pytest.raises(InvalidInput, match="a query before the first cached token"):
        compress(cache, adapter=adapter(), queries=queries(2), query_positions=[-1, 3])


def test_a_threshold_without_queries_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no queries were given"):
        compress(snapshot(40), adapter=adapter(), target=Threshold(0.9))


def test_a_bound_without_a_profile_is_refused() -> None:
    with pytest.raises(InvalidInput, match="only a codec profile can hold"):
        compress(snapshot(40), adapter=adapter(), target=KLBound(0.01))


def test_a_snapshot_of_another_model_or_geometry_is_refused() -> None:
    cache = snapshot(40)
    other = KVSnapshot(replace(cache.frame, model="llama-3-8b"), cache.keys, cache.values)
    with pytest.raises(InvalidInput, match="the snapshot is of 'llama-3-8b'"):
        compress(other, adapter=adapter())
    with pytest.raises(DimensionMismatch, match="the snapshot's layers is 2; small has 3"):
        compress(cache, adapter=adapter(num_layers=3))
    with pytest.raises(ModelNotSupported, match="only plain arrays"):
        compress(cache, adapter=adapter(num_layers=None))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"model": "llama-3-8b"}, "the codec profile is of the model 'llama-3-8b'; the snapshot's model is 'small'"),
        ({"weights": "sha256:00"}, "the codec profile is of the weights 'sha256:00'; the snapshot's weights is"),
        ({"made_for": adapter(rope=Rope(theta=5e5, layout="half"))}, r"the codec profile is for KVGeometry\(layers=2"),
    ],
)
def test_a_profile_of_another_model_revision_or_geometry_is_refused(
    other: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        compress(snapshot(40), adapter=adapter(), profile=profile(tmp_path, **other))
    assert caught.value.facts["field"] == "profile"


@pytest.mark.parametrize("ratio", [3, 8, 20])
def test_a_profile_reaches_a_ratio_in_real_bytes(ratio: float, tmp_path: Path) -> None:
    known = profile(tmp_path)
    cache = snapshot(600)
    done = compress(cache, adapter=adapter(), profile=known, target=Ratio(ratio), time_decompression=True)
    assert done.method == "transform"
    assert ratio <= done.metrics.ratio < 1.1 * ratio
    assert done.metrics.profile_bytes == known.size
    assert done.metrics.ratio_with_profile(10) < done.metrics.ratio_with_profile(1000) < done.metrics.ratio
    again = decompress(done.data, profile=known)
    assert again.frame.positions.tolist() == list(range(600))


def test_a_bound_is_stated_in_the_file_and_held_by_the_step(tmp_path: Path) -> None:
    known, cache = profile(tmp_path), snapshot(300)
    sizes = []
    for kl in (0.002, 0.01, 0.1):
        done = compress(cache, adapter=adapter(), profile=known, target=KLBound(kl))
        assert done.expected_kl == float(read_kvz(done.data).evidence["kl_bound"]) <= kl
        sizes.append(len(done.data))
    assert sizes == sorted(sizes, reverse=True)
    (tmp_path / "other").mkdir()
    unmeasured = profile(tmp_path / "other", kl_per_distortion=None)
    with pytest.raises(QualityBelowThreshold, match="never measured on its model"):
        compress(cache, adapter=adapter(), profile=unmeasured, target=KLBound(0.01))


def test_a_selection_and_a_profile_go_together(tmp_path: Path) -> None:
    known, asked = profile(tmp_path), queries(20)
    done = compress(snapshot(600), adapter=adapter(), queries=asked, profile=known, target=Threshold(0.8))
    assert done.method == "select+transform"
    assert decompress(done.data, profile=known).frame.positions.tolist() == done.kept.tolist()
    assert "kl_bound" not in read_kvz(done.data).evidence  # it would say nothing about the dropped tokens
    assert done.expected_kl is None
    small = compress(
        snapshot(600), adapter=adapter(), queries=asked, profile=known, method="select+transform", target=Ratio(30)
    )
    assert small.metrics.ratio >= 30


def test_a_file_names_the_profile_that_it_needs(tmp_path: Path) -> None:
    known = profile(tmp_path)
    data = compress(snapshot(100), adapter=adapter(), profile=known, target=Ratio(5)).data
    with pytest.raises(InvalidInput, match=f"codec profile {known.digest}; none was given") as caught:
        decompress(data)
    assert caught.value.facts["field"] == "profile"
    (tmp_path / "other").mkdir()
    with pytest.raises(InvalidInput, match="was given"):
        decompress(data, profile=profile(tmp_path / "other", tokens=5))
