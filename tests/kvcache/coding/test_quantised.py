"""Quantisation without a profile: tables as defined, errors as predicted, any geometry, and hostile files refused."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvcache.coding import quantised
from kvcache.coding.encoded import Encoded
from kvcache.coding.quantised_vectors import dequantise_gains, quantise_gains
from kvcache.kernels import lloyd_max
from kvcache.kernels.hadamard import rotation
from latentmas.protocol.errors import InvalidInput, LatentMASError
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame, whole

GEOMETRY = KVGeometry(4, 2, 16, 16, (10_000.0, 1e6, 10_000.0, 1e6), (None,) * 4)
GAUSSIAN_ERROR = {2: 0.1175, 3: 0.03455, 4: 0.009501, 5: 0.002505, 6: 0.000644, 7: 0.000163, 8: 0.0000412}  # Max 1960


def cache(tokens: int, geometry: KVGeometry = GEOMETRY, frame: SnapshotFrame | None = None) -> KVSnapshot:
    """Random keys and values, as far from zero in the mean as real keys are."""
    generator = np.random.default_rng(tokens)
    keys, values = (
        generator.normal(size=(geometry.layers, tokens, geometry.heads, dim)) + generator.normal(size=dim)
        for dim in (geometry.head_dim, geometry.value_width)
    )
    return KVSnapshot(frame or whole(geometry, tokens), keys.astype("f4"), values.astype("f4"))


def relative_error(again: np.ndarray, before: np.ndarray) -> float:
    return float(((again - before) ** 2).sum() / (before**2).sum())


def gaussian_mass(low: float, high: float) -> float:
    return (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2


def density(at: float) -> float:
    return math.exp(-at * at / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("bits", range(2, 9))
def test_levels_are_the_centroids_of_cells_that_end_midway_between_them(bits: int) -> None:
    levels = lloyd_max.levels(bits).astype(float)
    edges = [-math.inf, *((levels[1:] + levels[:-1]) / 2), math.inf]
    for level, low, high in zip(levels, edges, edges[1:], strict=False):
        assert level == pytest.approx((density(low) - density(high)) / gaussian_mass(low, high), abs=2e-7 * 2**bits)
    cells = zip(levels, edges, edges[1:], strict=False)
    error = 1 - sum(level**2 * gaussian_mass(low, high) for level, low, high in cells)
    assert error == pytest.approx(GAUSSIAN_ERROR[bits], rel=4e-3)


@pytest.mark.parametrize("bits", range(2, 9))
def test_no_frequency_hangs_on_the_last_digit_of_a_machines_mathematics(bits: int) -> None:
    edges = [-math.inf, *lloyd_max.boundaries(bits)[: 1 << (bits - 1)].astype(float)]
    below = [math.erfc(-edge / math.sqrt(2)) / 2 for edge in edges]
    exact = np.diff(below) * lloyd_max.FREQUENCY_SCALE
    assert np.abs(exact % 1 - 0.5).min() > 1e-4
    np.testing.assert_array_equal(lloyd_max.frequencies(bits)[: len(exact)], np.maximum(1, np.round(exact)))


@pytest.mark.parametrize("width", [1, 2, 3, 7, 12, 64, 80, 96, 128, 192, 576])
def test_the_rotation_is_orthogonal_and_spreads_a_single_coordinate(width: int) -> None:
    turn = rotation(width)
    np.testing.assert_allclose(turn @ turn.T, np.eye(width), atol=2e-5)
    assert np.abs(turn).max() <= math.sqrt(2 / width) + 1e-6 or width == 1


@pytest.mark.parametrize("size", [64, 256])
def test_gains_come_back_within_half_a_step(size: int) -> None:
    gains = np.exp2(np.random.default_rng(0).normal(size=(3, 200, 2))).astype("f4")
    gains[0, 5] = 0
    again = dequantise_gains(*quantise_gains(gains, size=size), size=size)
    assert (again[0, 5] == 0).all()
    heard = gains > 0
    assert np.abs(np.log2(again[heard] / gains[heard])).max() < 8 / (size - 2) / 2 + 0.004


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_the_error_is_that_of_the_quantiser(bits: int) -> None:
    snapshot = cache(300)
    encoded = quantised.encode(snapshot, bits=bits, finer=0)
    keys, values = quantised.decode(encoded, snapshot.frame)
    for again, before in ((keys, snapshot.keys), (values, snapshot.values)):
        spread = ((before - before.mean(1, keepdims=True)) ** 2).sum() if again is values else (before**2).sum()
        assert ((again - before) ** 2).sum() < 1.15 * GAUSSIAN_ERROR[bits] * spread


@pytest.mark.parametrize("tokens", [1, 3, 4, 5, 31, 36, 256, 300, 513])
def test_any_number_of_tokens_comes_back(tokens: int) -> None:
    snapshot = cache(tokens)
    keys, values = quantised.decode(quantised.encode(snapshot, bits=8), snapshot.frame)
    assert relative_error(keys, snapshot.keys) < 2e-4
    assert relative_error(values, snapshot.values) < 2e-4


@pytest.mark.parametrize(
    "geometry",
    [
        KVGeometry(1, 1, 128, 0, (1.0,), (None,)),
        KVGeometry(1, 1, 1, 0, (1.0,), (None,)),
        KVGeometry(2, 3, 80, 32, (1e4,) * 2, (None,) * 2),
        KVGeometry(3, 1, 64, 64, (1e4,) * 3, (None,) * 3, value_dim=512),
        KVGeometry(3, 2, 6, 4, (1e4,) * 3, (None,) * 3, value_dim=7),
    ],
)
def test_any_geometry_comes_back(geometry: KVGeometry) -> None:
    snapshot = cache(50, geometry)
    keys, values = quantised.decode(quantised.encode(snapshot, bits=8), snapshot.frame)
    assert relative_error(keys, snapshot.keys) < 3e-4
    assert relative_error(values, snapshot.values) < 3e-4


def test_sinks_are_exact_and_the_rest_keeps_its_positions() -> None:
    kept = np.array([0, 2, 9, 40, 77])
    snapshot = cache(80).select(kept)
    keys, values = quantised.decode(quantised.encode(snapshot, bits=8), snapshot.frame)
    for again, before in ((keys, snapshot.keys), (values, snapshot.values)):
        np.testing.assert_array_equal(again[:, :1], before[:, :1].astype("f2"))
        assert relative_error(again, before) < 2e-4


def test_what_a_layer_does_not_hold_costs_nothing_and_stays_zero() -> None:
    starts = (0, 30, 59, 2)
    frame = replace(whole(GEOMETRY, 60), starts=starts)
    full = cache(60)
    for array in (full.keys, full.values):
        for layer, start in enumerate(starts):
            array[layer, :start] = 0
    partial = KVSnapshot(frame, full.keys, full.values)
    encoded = quantised.encode(partial, bits=8, finer=0)
    assert encoded.size < 0.75 * quantised.encode(cache(60), bits=8, finer=0).size
    for again, before in zip(quantised.decode(encoded, frame), (full.keys, full.values), strict=True):
        assert relative_error(again, before) < 2e-4
        assert all(not again[layer, :start].any() for layer, start in enumerate(starts))


def test_a_vector_of_zeros_comes_back_as_zeros() -> None:
    snapshot = KVSnapshot(whole(GEOMETRY, 20), np.zeros((4, 20, 2, 16), "f4"), np.zeros((4, 20, 2, 16), "f4"))
    keys, values = quantised.decode(quantised.encode(snapshot, bits=2), snapshot.frame)
    assert not keys.any()
    assert not values.any()


def test_first_and_last_layer_and_either_side_can_be_finer() -> None:
    snapshot = cache(300)
    encoded = quantised.encode(snapshot, key_bits=4, value_bits=2, finer=2)
    assert encoded.parameters["key_bits"] == [6, 4, 4, 6]
    assert encoded.parameters["value_bits"] == [4, 2, 2, 4]
    keys, values = quantised.decode(encoded, snapshot.frame)
    assert relative_error(keys[0], snapshot.keys[0]) < relative_error(keys[1], snapshot.keys[1]) / 4
    assert relative_error(keys, snapshot.keys) < relative_error(values, snapshot.values) / 4


def test_the_same_snapshot_gives_the_same_bytes() -> None:
    first, second = (quantised.encode(cache(70), bits=3) for _ in range(2))
    assert first.parameters == second.parameters
    assert {name: array.tobytes() for name, array in first.sections.items()} == {
        name: array.tobytes() for name, array in second.sections.items()
    }


def test_four_bits_take_less_than_four_bits() -> None:
    wide = KVGeometry(8, 2, 64, 64, (1e4,) * 8, (None,) * 8)
    snapshot = cache(768, wide)
    assert snapshot.frame.raw_bytes / quantised.encode(snapshot, bits=4, finer=0).size > 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bits": 1}, "from 2 to 8"),
        ({"bits": 9}, "from 2 to 8"),
        ({"bits": 3.5}, "from 2 to 8"),
        ({"value_bits": 0}, "value_bits is 0"),
        ({"finer": -1}, "finer is -1"),
        ({"sinks": -1}, "sinks is -1"),
    ],
)
def test_it_refuses_settings_that_there_are_not(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        quantised.encode(cache(5), **given)


def test_it_refuses_numbers_that_float16_has_not() -> None:
    snapshot = cache(8)
    snapshot.values[0, 6, 0, 0] = 1e6
    with pytest.raises(InvalidInput, match="values hold numbers beyond 65504"):
        quantised.encode(snapshot)


def tampered(encoded: Encoded, **changed: Any) -> Encoded:
    sections = {name: array for name, array in (encoded.sections | changed).items() if array is not None}
    return replace(encoded, sections=sections)


@pytest.mark.parametrize(
    "change",
    [
        {"code": None},
        {"mean": None},
        {"exact": None},
        {"stranger": np.zeros(1, "f4")},
        {"code": np.zeros(3, "i4")},
        {"code": np.zeros(3, "f4")},
        {"mean": np.zeros(3, "f2")},
        {"gain_ranges": np.full((2, 4, 2, 2), 60_000, "f2")},
        {"gain_ranges": np.full((2, 4, 2, 2), [3, 2], "f2")},
        {"gain_frequencies": np.zeros(64, "u2")},
        {"gain_frequencies": np.ones(256, "u2")},
    ],
)
def test_it_refuses_damaged_sections(change: dict[str, Any]) -> None:
    snapshot = cache(40)
    with pytest.raises(InvalidInput):
        quantised.decode(tampered(quantised.encode(snapshot), **change), snapshot.frame)


@pytest.mark.parametrize(
    "change",
    [
        {"key_bits": [4]},
        {"key_bits": [4, 4, 4, 9]},
        {"value_bits": "4444"},
        {"sinks": -1},
        {"sinks": True},
        {"gain_bits": 7},
        {"centred": 1},
        {"sinks": 5},
    ],
)
def test_it_refuses_parameters_that_do_not_fit(change: dict[str, Any]) -> None:
    snapshot = cache(40)
    encoded = quantised.encode(snapshot)
    with pytest.raises(InvalidInput):
        quantised.decode(replace(encoded, parameters=encoded.parameters | change), snapshot.frame)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_damaged_code_is_refused_or_decodes_to_finite_numbers(data: st.DataObject) -> None:
    snapshot = cache(40)
    encoded = quantised.encode(snapshot, bits=2)
    name = data.draw(st.sampled_from(sorted(encoded.sections)))
    raw = bytearray(encoded.sections[name].tobytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    damaged = np.frombuffer(bytes(raw), encoded.sections[name].dtype).reshape(encoded.sections[name].shape)
    try:
        if damaged.dtype.kind == "f" and not np.isfinite(damaged).all():
            return  # refused where files are read
        KVSnapshot(snapshot.frame, *quantised.decode(tampered(encoded, **{name: damaged}), snapshot.frame))
    except LatentMASError:
        return
