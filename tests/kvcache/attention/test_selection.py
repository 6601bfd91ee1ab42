"""Attention mass is that of a plain double loop, and the selection made of it knows what a model can see."""

from typing import Any

import numpy as np
import pytest

from kvcache.adapters import ModelAdapter
from kvcache.attention.output import attention_output
from kvcache.attention.selection import coverage_of, selector, token_mass
from kvcache.kernels.attention import alibi_slopes, attention_mass
from kvcache.kernels.rotary import frequencies, rotate
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame, whole

GEOMETRY = KVGeometry(
    layers=3, heads=2, head_dim=8, rotary_dim=8, thetas=(10_000.0, 1e6, 10_000.0), windows=(4, None, 4)
)
PLAIN = KVGeometry(layers=1, heads=1, head_dim=128, rotary_dim=0, thetas=(1.0,), windows=(None,))


def cache(geometry: KVGeometry, tokens: int) -> KVSnapshot:
    generator = np.random.default_rng(tokens)
    shape = (geometry.layers, tokens, geometry.heads)
    keys = generator.normal(size=(*shape, geometry.head_dim)).astype("f4")
    return KVSnapshot(whole(geometry, tokens), keys, generator.normal(size=(*shape, geometry.value_width)).astype("f4"))


def asked(geometry: KVGeometry, count: int, heads: int, dim: int | None = None) -> np.ndarray:
    shape = (geometry.layers, count, heads, dim or geometry.head_dim)
    return np.random.default_rng(count).normal(size=shape).astype("f4")


def adapter(**facts: Any) -> ModelAdapter:
    known: dict[str, Any] = {"model": "small", "family": "test", "geometry": GEOMETRY, "attention_type": "causal"}
    known |= {"position_encoding": "rope", "rotation": "undone", "query_heads": None, "scale": None, "softcap": None}
    return ModelAdapter(**known | {"recommended_threshold": 0.9} | facts)


def mass_by_hand(
    snapshot: KVSnapshot,
    queries: np.ndarray,
    places: np.ndarray,
    *,
    softcap: float | None = None,
    slopes: np.ndarray | None = None,
    causal: bool = True,
) -> np.ndarray:
    frame, (layers, tokens, heads, dim) = snapshot.frame, snapshot.keys.shape
    mass = np.zeros((layers, queries.shape[2], tokens))
    for layer, head in np.ndindex(mass.shape[:2]):
        rows = []
        for query, place in zip(queries[layer, :, head], places, strict=True):
            score = np.full(tokens, -np.inf)
            for token, position in enumerate(frame.positions):
                window = frame.geometry.windows[layer]
                near = window is None or abs(place - position) < window
                if (position <= place or not causal) and near and token >= frame.starts[layer]:
                    logit = query @ snapshot.keys[layer, token, head * heads // queries.shape[2]] / np.sqrt(dim)
                    logit = logit if softcap is None else softcap * np.tanh(logit / softcap)
                    score[token] = logit - (0 if slopes is None else slopes[head] * abs(place - position))
            if np.isfinite(score).any():
                weights = np.exp(score - score.max())
                rows.append(weights / weights.sum())
        mass[layer, head] = np.mean(rows, axis=0) if rows else 0
    return mass


def averaged(mass: np.ndarray) -> np.ndarray:
    return mass.sum((0, 1)) / mass.sum()


@pytest.mark.parametrize(("tokens", "heads"), [(1, 2), (5, 4), (70, 6)])
def test_mass_is_the_softmax_of_scaled_scores(tokens: int, heads: int) -> None:
    snapshot, queries, places = cache(GEOMETRY, tokens), asked(GEOMETRY, 3, heads), np.array([tokens - 1, 0, tokens])
    expected = averaged(mass_by_hand(snapshot, queries, places))
    found = token_mass(snapshot, queries, places, adapter=adapter())
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.sum() == pytest.approx(1)


def test_mass_sums_to_one_for_each_layer_and_head() -> None:
    keys, queries = cache(GEOMETRY, 9).keys, asked(GEOMETRY, 2, 4)
    windows, starts = np.array([3, 100, 100], np.int32), np.zeros(3, np.int32)
    mass = attention_mass(
        keys,
        queries,
        np.arange(9),
        np.array([8, 9]),
        scale=0.3,
        windows=windows,
        starts=starts,
        slopes=np.zeros(4, np.float32),
    )
    np.testing.assert_allclose(mass.sum(-1), np.ones((3, 4)), rtol=1e-5)
    assert not np.asarray(mass)[0, :, :6].any()  # query 8 sees 6, 7 and 8; query 9 sees 7 and 8


def test_what_a_layer_does_not_hold_gets_nothing() -> None:
    snapshot = cache(GEOMETRY, 12)
    frame = SnapshotFrame(None, None, GEOMETRY, snapshot.frame.positions, 12, (9, 0, 11))
    snapshot = KVSnapshot(frame, snapshot.keys, snapshot.values)
    queries, places = asked(GEOMETRY, 2, 2), np.array([11, 13])
    np.testing.assert_allclose(
        token_mass(snapshot, queries, places, adapter=adapter()),
        averaged(mass_by_hand(snapshot, queries, places)),
        atol=1e-6,
    )


def test_positions_of_a_cache_with_gaps_count_for_windows() -> None:
    snapshot = cache(GEOMETRY, 40).select(np.array([0, 1, 5, 20, 38, 39]))
    queries, places = asked(GEOMETRY, 2, 2), np.array([39, 41])
    np.testing.assert_allclose(
        token_mass(snapshot, queries, places, adapter=adapter()),
        averaged(mass_by_hand(snapshot, queries, places)),
        atol=1e-6,
    )


def test_a_cap_on_the_logits_is_applied() -> None:
    snapshot, queries, places = cache(GEOMETRY, 10), 9 * asked(GEOMETRY, 2, 2), np.array([9, 10])
    np.testing.assert_allclose(
        token_mass(snapshot, queries, places, adapter=adapter(softcap=2.0)),
        averaged(mass_by_hand(snapshot, queries, places, softcap=2.0)),
        atol=1e-6,
    )


def test_alibi_prefers_what_is_near() -> None:
    snapshot, queries, places = cache(GEOMETRY, 10), asked(GEOMETRY, 2, 6), np.array([9, 10])
    np.testing.assert_allclose(
        token_mass(snapshot, queries, places, adapter=adapter(attention_type="alibi")),
        averaged(mass_by_hand(snapshot, queries, places, slopes=alibi_slopes(6))),
        atol=1e-6,
    )
    np.testing.assert_allclose(alibi_slopes(8), 2.0 ** -np.arange(1, 9))
    np.testing.assert_allclose(alibi_slopes(6), [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3])


def test_a_prefix_lm_looks_at_the_whole_prefix() -> None:
    snapshot, queries, places = cache(GEOMETRY, 10), asked(GEOMETRY, 2, 2), np.array([2, 3])
    np.testing.assert_allclose(
        token_mass(snapshot, queries, places, adapter=adapter(attention_type="prefix-lm")),
        averaged(mass_by_hand(snapshot, queries, places, causal=False)),
        atol=1e-6,
    )


def test_the_latent_of_mla_takes_part_in_the_scores() -> None:
    latent = KVGeometry(2, 1, 8, 8, (1e4,) * 2, (None,) * 2, value_dim=16)
    joined = KVGeometry(2, 1, 24, 8, (1e4,) * 2, (None,) * 2)
    snapshot, queries, places = cache(latent, 7), asked(latent, 3, 4, 24), np.array([6, 7, 8])
    both = np.concatenate([snapshot.keys, snapshot.values], -1)
    expected = mass_by_hand(KVSnapshot(whole(joined, 7), both, both), queries, places)
    found = token_mass(snapshot, queries, places, adapter=adapter(attention_type="mla", scale=24**-0.5))
    np.testing.assert_allclose(found, averaged(expected), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "softcap"), [("causal", None), ("causal", 2.0), ("alibi", None), ("mla", None), ("prefix-lm", None)]
)
def test_mass_is_what_the_attentions_output_weighs_values_by(kind: str, softcap: float | None) -> None:
    geometry = KVGeometry(2, 1, 8, 0, (1.0, 1.0), (None, None), value_dim=9)
    held, model = cache(geometry, 9), adapter(attention_type=kind, softcap=softcap)
    units = np.tile(np.eye(9, dtype="f4")[None, :, None], (2, 1, 1, 1))  # so that the output is the weights
    snapshot = KVSnapshot(held.frame, held.keys, units)
    queries, places = asked(geometry, 3, 4, 17 if kind == "mla" else 8), np.array([2, 5, 11])
    weights = np.mean(attention_output(snapshot, queries, places, adapter=model), (0, 1, 2))
    np.testing.assert_allclose(token_mass(snapshot, queries, places, adapter=model), weights, atol=1e-6)


def test_rope_is_applied_to_queries_that_come_without_it() -> None:
    snapshot, queries, places = cache(GEOMETRY, 12), asked(GEOMETRY, 4, 4), np.arange(10, 14)
    frequency = np.stack([frequencies(theta, 8) for theta in GEOMETRY.thetas])
    turned = np.asarray(rotate(queries, places, frequency))
    chosen = selector(snapshot, queries, places, adapter=adapter(), rope_applied=False)(0.6, 1, 12)
    same = selector(snapshot, turned, places, adapter=adapter())(0.6, 1, 12)
    assert chosen[0].tolist() == same[0].tolist()
    assert chosen[1] == pytest.approx(same[1], abs=1e-6)


def test_rotated_keys_and_queries_meet_by_their_distance_alone() -> None:
    snapshot, queries, places = cache(GEOMETRY, 12), asked(GEOMETRY, 4, 4), np.arange(10, 14)
    frequency = np.stack([frequencies(theta, 8) for theta in GEOMETRY.thetas])
    known = {"scale": 0.3, "windows": np.full(3, 100, np.int32), "starts": np.zeros(3, np.int32)}
    known |= {"slopes": np.zeros(4, np.float32)}

    def mass_from(start: int) -> np.ndarray:
        held, asking = start + np.arange(12), start + places
        keys, turned = rotate(snapshot.keys, held, frequency), rotate(queries, asking, frequency)
        return np.asarray(attention_mass(keys, turned, held, asking, **known))

    np.testing.assert_allclose(mass_from(0), mass_from(7), atol=1e-6)
    unrotated = np.asarray(attention_mass(snapshot.keys, queries, np.arange(12), places, **known))
    assert np.abs(mass_from(0) - unrotated).max() > 0.01


def test_the_specifications_plain_arrays_are_one_head_at_one_over_root_d() -> None:
    snapshot, queries = cache(PLAIN, 100), asked(PLAIN, 1, 1)
    score = snapshot.keys[0, :, 0] @ queries[0, 0, 0] / np.sqrt(128)
    weights = np.exp(score - score.max())
    expected = weights / weights.sum()
    any_model = adapter(scale=0.5, attention_type="alibi", query_heads=9)
    np.testing.assert_allclose(token_mass(snapshot, queries, np.array([99]), adapter=any_model), expected, atol=1e-6)
    kept, coverage = selector(snapshot, queries, adapter=any_model)(0.9, 1, 100)
    assert coverage == pytest.approx(expected[kept].sum(), abs=1e-6)
    assert 0.9 <= coverage < 0.93
    assert {0, 1, 2, 3, 96, 97, 98, 99} <= set(kept.tolist())
    assert coverage_of(snapshot, kept, queries, np.array([99]), adapter=any_model) == pytest.approx(coverage)


def test_lengths_of_one_bucket_share_a_compiled_kernel() -> None:
    selector(cache(PLAIN, 65), asked(PLAIN, 3, 1), adapter=adapter())(0.9, 1, 65)
    compiled = attention_mass._cache_size()
    for tokens, count in ((66, 1), (100, 8), (128, 5)):
        selector(cache(PLAIN, tokens), asked(PLAIN, count, 1), adapter=adapter())(0.5, 1, tokens)
    assert attention_mass._cache_size() == compiled


def test_the_attention_is_computed_once_for_all_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(
        "kvcache.attention.selection.attention_mass", lambda *a, **k: calls.append(1) or attention_mass(*a, **k)
    )
    choose = selector(cache(PLAIN, 40), asked(PLAIN, 3, 1), adapter=adapter())
    kept = [len(choose(threshold, 10, 30)[0]) for threshold in (0.1, 0.7, 1.0)]
    assert calls == [1]
    assert kept[0] == 10
    assert kept == sorted(kept)
    assert kept[-1] == 30


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"queries": np.ones((3, 8))}, InvalidInput, "must have rank 4"),
        ({"queries": np.ones((3, 0, 2, 8))}, InvalidInput, "at least one token"),
        ({"queries": np.full((3, 1, 2, 8), np.nan)}, InvalidInput, "queries holds nan"),
        ({"queries": np.ones((2, 1, 2, 8))}, DimensionMismatch, r"must be \[3, n, query heads, 8\]"),
        ({"queries": np.ones((3, 1, 2, 9))}, DimensionMismatch, r"must be \[3, n, query heads, 8\]"),
        ({"queries": np.ones((3, 1, 3, 8))}, DimensionMismatch, "a multiple of the 2 KV heads"),
        ({"adapter": adapter(query_heads=4)}, DimensionMismatch, "must have 4"),
        ({"query_positions": np.array([1, 2])}, InvalidInput, "must be 1 whole numbers"),
        ({"query_positions": np.array([-1])}, InvalidInput, "a query before the first cached token"),
        ({"query_positions": np.array([0.5])}, InvalidInput, "must be 1 whole numbers"),
        ({"queries": np.full((3, 1, 2, 8), 1e38)}, InvalidInput, "overflow float32"),
    ],
)
def test_it_refuses_what_cannot_be(given: dict[str, Any], error: type[Exception], message: str) -> None:
    known = {"queries": asked(GEOMETRY, 1, 2), "adapter": adapter()}
    with pytest.raises(error, match=message):
        selector(cache(GEOMETRY, 20), **known | given)(0.9, 1, 20)


def test_it_refuses_queries_that_see_nothing() -> None:
    snapshot = cache(GEOMETRY, 20)
    behind = KVSnapshot(
        SnapshotFrame(None, None, GEOMETRY, snapshot.frame.positions, 20, (19, 19, 19)), snapshot.keys, snapshot.values
    )
    with pytest.raises(InvalidInput, match="see none of the cache's tokens"):
        selector(behind, asked(GEOMETRY, 1, 2), np.array([3]), adapter=adapter())(0.9, 1, 20)
