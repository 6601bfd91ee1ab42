"""Transforms fitted on rows with a known structure find that structure."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factory.codec import fitting
from factory.codec.fitting import Moments, fit_groups, layer_groups, moments_of
from factory.codec.statistics import RowStatistics
from factory.codec.tables import freeze
from kvcache.coding import quantised, rate, transform, transform_decoding
from kvcache.coding.coordinates import coordinates
from kvcache.coding.profile import Group, OpenedProfile, open_profile, write_profile
from kvcache.rows import unpack_rows
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot
from tests.kvcache.profiles import FULL, SLIDING, Shape, basis_of, document_of, framed, shared_arrays

FACTORS = 12  # directions in which the rows vary
TOKENS, WINDOWS = 64, 24
MIXING = np.random.default_rng(1).normal(size=(FACTORS, FULL.width)) / np.sqrt(FACTORS)
CENTRE = np.random.default_rng(2).normal(size=FULL.width)
SENSITIVITY = np.where(np.arange(FULL.width) % 4 == 0, 4.0, 0.5)  # root mean square of the gradients
DECIDES = np.random.default_rng(3).normal(size=FULL.width) / np.sqrt(FULL.width)


def silent(_done: int, _total: int) -> None:
    pass


def rows(seed: int, tokens: int = TOKENS) -> np.ndarray:
    generator = np.random.default_rng(seed)
    noise = 0.02 * generator.normal(size=(tokens, FULL.width))
    return (generator.normal(size=(tokens, FACTORS)) @ MIXING + noise + CENTRE).astype("f4")


def gradients(given: np.ndarray, seed: int) -> np.ndarray:
    """Louder for rows along DECIDES, and for the last tokens."""
    generator = np.random.default_rng(1000 + seed)
    distance = len(given) - np.arange(len(given))
    loudness = np.exp(0.5 * ((given - CENTRE) @ DECIDES - np.log(distance)))[:, None]
    return (generator.normal(size=given.shape) * SENSITIVITY * loudness).astype("f4")


@pytest.fixture(scope="module")
def moments() -> Moments:
    statistics = RowStatistics()
    for seed in range(WINDOWS):
        given = rows(seed)
        statistics.add(given, gradients(given, seed))
    return moments_of(statistics)


@pytest.fixture(scope="module")
def group(moments: Moments) -> Group:
    (found,) = fit_groups(moments, FULL, rank=40, progress=silent)
    return found


@pytest.fixture(scope="module")
def profile(moments: Moments, group: Group, tmp_path_factory: pytest.TempPathFactory) -> OpenedProfile:
    """A fitted profile whose tables are counted on rows of other windows."""
    path = tmp_path_factory.mktemp("fitted") / "profile.safetensors"
    shared = shared_arrays(Shape(), np.full(FULL.width, 50.0)) | {"recency": moments.recency}
    draft = OpenedProfile("", 0, document_of(Shape(), [group]), (group,), **shared)
    samples = [coordinates(snapshot(rows(seed)), profile=draft) for seed in (100, 101, 102)]
    tables = freeze(samples, steps=[-32, -16, 0, 16, 32])
    frozen = {"frequencies": tables.frequencies, "limits": tables.limits, "shrink": tables.shrink}
    with path.open("wb") as file:
        write_profile(file, document_of(Shape(), [group]), [group], shared | frozen)
    return open_profile(path)


def snapshot(given: np.ndarray) -> KVSnapshot:
    return KVSnapshot(framed(FULL, len(given)), *unpack_rows(given, geometry=FULL))


def test_the_moments_are_those_of_all_rows(moments: Moments) -> None:
    every = np.concatenate([rows(seed) for seed in range(WINDOWS)])
    np.testing.assert_allclose(moments.mean, every.mean(0), atol=1e-4)
    np.testing.assert_allclose(moments.covariance, np.cov(every.T, bias=True), atol=1e-3)


def test_the_weight_is_the_root_of_the_mean_squared_gradient(moments: Moments) -> None:
    loud, quiet = moments.weight[SENSITIVITY == 4.0], moments.weight[SENSITIVITY == 0.5]
    assert loud.mean() / quiet.mean() == pytest.approx(8, rel=0.05)
    assert loud.min() > 4 * quiet.max()
    assert np.square(moments.weight).mean() == pytest.approx(1.0, rel=1e-4)


def test_no_dimension_is_free_of_weight() -> None:
    statistics = RowStatistics()
    still = gradients(rows(0), 0)
    still[:, :5] = 0
    statistics.add(rows(0), still)
    weight = moments_of(statistics).weight
    assert (weight[:5] > 0).all()
    assert weight[:5].max() < 0.1 * weight[5:].min()


def test_recency_falls_with_the_distance_to_the_end_and_is_centred(moments: Moments) -> None:
    assert len(moments.recency) == 1 + 2 * np.log2(TOKENS)
    assert (np.diff(moments.recency) < 0).all()
    assert moments.recency[0] - moments.recency[-1] == pytest.approx(np.log(TOKENS), rel=0.15)
    distance = TOKENS - np.arange(TOKENS)
    nearest = moments.recency[np.round(2 * np.log2(distance)).astype(int)]
    assert nearest.mean() == pytest.approx(0.0, abs=0.05)


def test_the_leading_directions_span_the_factors(moments: Moments, group: Group) -> None:
    basis = basis_of(group)
    np.testing.assert_allclose(basis.T @ basis, np.eye(group.rank), atol=0.02)
    weighted = MIXING * moments.weight
    held = np.linalg.norm(weighted @ basis[:, :FACTORS] @ basis[:, :FACTORS].T) / np.linalg.norm(weighted)
    assert held > 0.999


def test_the_levels_are_the_spread_of_the_coefficients(moments: Moments, group: Group) -> None:
    assert (np.diff(group.levels) <= 0).all()
    unseen = np.concatenate([rows(seed) for seed in range(200, 216)])
    coefficients = ((unseen - group.mean) * group.weight) @ basis_of(group)
    np.testing.assert_allclose(np.log2(coefficients.std(0))[:FACTORS], group.levels[:FACTORS] / 16, atol=0.15)
    assert group.levels[FACTORS - 1] - group.levels[FACTORS] > 32  # two octaves: what follows is noise


def test_importance_foretells_which_tokens_matter(moments: Moments, group: Group) -> None:
    unseen = rows(300, 400)
    told = ((unseen - group.mean) * group.weight) @ group.importance
    assert np.corrcoef(told, (unseen - CENTRE) @ DECIDES)[0, 1] > 0.95
    assert np.std(told) == pytest.approx(np.std((unseen - CENTRE) @ DECIDES), rel=0.15)


def test_a_sliding_model_has_a_basis_for_its_full_layers_alone(moments: Moments) -> None:
    groups = fit_groups(moments, SLIDING, rank=500, progress=silent)
    assert [(each.scope, each.layers, each.rank) for each in groups] == [
        ("all", (0, 1, 2, 3), 128),
        ("full-attention", (1, 3), 64),
    ]
    np.testing.assert_array_equal(groups[1].mean, groups[0].mean.reshape(4, 32)[[1, 3]].reshape(-1))


def test_a_wide_model_has_several_groups_of_neighbouring_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MAX_GROUP_WIDTH", 2 * FULL.layer_width)
    assert list(layer_groups(FULL)) == [("all", (0, 1)), ("all", (2, 3))]
    five = KVGeometry(5, 2, 8, 8, (1e4,) * 5, (8, None, 8, None, None))
    assert list(layer_groups(five)) == [
        ("all", (0, 1)),
        ("all", (2, 3)),
        ("all", (4,)),
        ("full-attention", (1, 3)),
        ("full-attention", (4,)),
    ]
    everywhere = replace(FULL, windows=(8,) * 4)
    assert list(layer_groups(everywhere)) == [("all", (0, 1)), ("all", (2, 3))]


def weighted_error(group: Group, keys_and_values: tuple[np.ndarray, np.ndarray], cache: KVSnapshot) -> float:
    from kvcache.rows import pack_rows

    restored, exact = (pack_rows(*each, geometry=FULL) for each in (keys_and_values, (cache.keys, cache.values)))
    return float(np.square((restored - exact) * group.weight).sum(1).mean())


def test_more_bytes_bring_the_cache_nearer(profile: OpenedProfile, group: Group) -> None:
    cache = snapshot(rows(400, 600))
    found = coordinates(cache, profile=profile)
    errors = []
    for size in (1500, 3000, 6000, 12_000):
        encoded = transform.encode_coordinates(found, step=rate.step_for_bytes(found, size=size))
        assert encoded.size <= 1.02 * size  # short blocks are filled up
        errors.append(weighted_error(group, transform_decoding.decode(encoded, cache.frame, profile=profile), cache))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 20


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_a_fitted_profile_beats_quantisation_at_equal_bytes(bits: int, profile: OpenedProfile, group: Group) -> None:
    cache = snapshot(rows(401, 200))
    plain = quantised.encode(cache, bits=bits)
    found = coordinates(cache, profile=profile)
    encoded = transform.encode_coordinates(found, step=rate.step_for_bytes(found, size=plain.size // 2))
    assert encoded.size < plain.size
    coded = weighted_error(group, transform_decoding.decode(encoded, cache.frame, profile=profile), cache)
    assert coded < 0.5 * weighted_error(group, quantised.decode(plain, cache.frame), cache)


def test_the_fit_is_the_same_every_time(moments: Moments, tmp_path: Path) -> None:
    once, again = (fit_groups(moments, FULL, rank=16, progress=silent)[0] for _ in range(2))
    for name in ("mean", "weight", "basis", "basis_scale", "levels", "importance"):
        np.testing.assert_array_equal(getattr(once, name), getattr(again, name))
