"""A W-Matrix with a correction, and the target's first layer."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kvcache.exchange.exchange import Exchanged, exchange
from kvcache.exchange.mapping import Innovations, lagged, open_map, open_w_matrix
from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.policy import Policy
from kvcache.exchange.quality import Evidence
from kvcache.kernels import tiles
from latentmas.protocol.errors import DimensionMismatch, InvalidInput, QualityBelowThreshold
from latentmas.protocol.quality import Interval
from latentmas.protocol.w_matrix import WMatrix, corrected_layers
from tests.kvcache.exchange.sample import ANY, CERTIFICATE, EVER, GEOMETRY, OTHER, cache, rows_in, rows_of, w_matrix
from tests.marketplace.sample import functional

WIDTH, RANK = OTHER.layer_width, 5
TOKENS = 40  # of the target, one character each; the source's stand for two
SPANS = np.array([(i, i + 1) for i in range(TOKENS)])


def correcting(lags: int = 2, **fields: Any) -> WMatrix:
    generator = np.random.default_rng(5)
    arrays = {
        "correction_encoder": generator.normal(size=(lags * WIDTH, RANK)).astype("f2"),
        "correction_decoder": generator.normal(size=(RANK, OTHER.width)).astype("f2"),
        "target_scale": generator.uniform(0.5, 2, OTHER.width).astype("f4"),
        "target_mean": generator.normal(size=OTHER.width).astype("f4"),
    }
    return w_matrix(GEOMETRY, OTHER, arrays=arrays, **fields)


def first_layer(tokens: int = TOKENS) -> np.ndarray:
    return np.random.default_rng(6).normal(size=(tokens, WIDTH)).astype("f4")


def corrected(predicted: np.ndarray, layer: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The correction as it is defined, token by token: rows_t += [u_t, u_(t-1), ...] C, standardised."""
    scale = arrays["target_scale"]
    factors = arrays["correction_encoder"].astype("f4"), arrays["correction_decoder"].astype("f4")
    lags = len(factors[0]) // WIDTH
    innovations = (layer - predicted[:, :WIDTH]) / scale[:WIDTH]
    rows = predicted.copy()
    for token in range(len(rows)):
        before = [innovations[token - lag] if lag <= token else np.zeros(WIDTH) for lag in range(lags)]
        rows[token] += np.concatenate(before) @ factors[0] @ factors[1] * scale
    rows[:, :WIDTH] = layer
    return rows


def handed(matrix: WMatrix, *, layer: np.ndarray | None, kept: np.ndarray | None = None, **more: Any) -> Exchanged:
    """Hand over half as many source tokens, or those of them that were kept, BOS among them."""
    snapshot = cache(TOKENS // 2)
    target = TargetTokens(SPANS, source_spans=snapshot.frame.offsets, first_layer=layer)
    return exchange(
        snapshot if kept is None else snapshot.select(kept), matrix, target=target, **{"policy": ANY} | more
    )


def test_the_innovations_of_the_first_layer_correct_the_others() -> None:
    matrix, layer = correcting(), first_layer()
    plain, done = handed(matrix, layer=None), handed(matrix, layer=layer)
    expected = corrected(rows_in(plain.snapshot)[1:], layer, matrix.arrays)
    assert (plain.corrected, done.corrected) == (False, True)
    np.testing.assert_allclose(rows_in(done.snapshot)[1:], expected, atol=1e-4)
    assert np.abs(expected - rows_in(plain.snapshot)[1:]).min(axis=0)[WIDTH:].max() > 0.1


def test_a_correction_may_take_several_layers() -> None:
    """`[lags, layers * w, r]`: the innovations of all of them count, and all of them become exact."""
    generator = np.random.default_rng(8)
    one = correcting()
    width = 2 * WIDTH
    encoder = generator.normal(size=(2, width, RANK)).astype("f2")
    matrix = WMatrix(one.document, one.arrays | {"correction_encoder": encoder})
    layers = generator.normal(size=(TOKENS, width + 3)).astype("f4")  # more than it takes do no harm
    rows = rows_in(handed(one, layer=None).snapshot)[1:]
    scale, decoder = one.arrays["target_scale"], one.arrays["correction_decoder"].astype("f4")
    innovations = lagged((layers[:, :width] - rows[:, :width]) / scale[:width], 2)
    rows = rows + innovations @ encoder.reshape(2 * width, RANK).astype("f4") @ decoder * scale
    rows[:, :width] = layers[:, :width]
    np.testing.assert_allclose(rows_in(handed(matrix, layer=layers).snapshot)[1:], rows, atol=1e-3)


def test_a_w_matrix_says_how_many_layers_its_correction_takes() -> None:
    two = correcting()
    by_lag = np.zeros((2, 2 * WIDTH, RANK), "f2")
    several = WMatrix(two.document, two.arrays | {"correction_encoder": by_lag})
    for matrix, layers in ((two, 1), (several, 2), (w_matrix(GEOMETRY, OTHER), 0)):
        assert corrected_layers(matrix.arrays, OTHER) == open_w_matrix(matrix).known_layers == layers


def test_rows_are_corrected_as_a_memory_is() -> None:
    matrix, layer = correcting(), first_layer()
    latent_map, source = open_map(matrix.arrays, target=OTHER), rows_of(TOKENS, GEOMETRY, seed=3)[1:]
    expected = corrected(latent_map.apply(source), layer, matrix.arrays)
    np.testing.assert_allclose(latent_map.apply(source, layer), expected, atol=1e-4)


def test_the_first_layer_becomes_exact() -> None:
    layer = first_layer()
    done = handed(correcting(), layer=layer)
    np.testing.assert_allclose(rows_in(done.snapshot)[1:, :WIDTH], layer, atol=1e-5)


def test_a_first_layer_as_predicted_changes_nothing() -> None:
    matrix = correcting()
    plain = handed(matrix, layer=None)
    predicted = rows_in(plain.snapshot)[1:, :WIDTH]
    np.testing.assert_allclose(rows_in(handed(matrix, layer=predicted).snapshot), rows_in(plain.snapshot), atol=1e-3)


@pytest.mark.parametrize("lags", [1, 2, 3])
@pytest.mark.parametrize("tile", [1, 2, 7, 39, 40])
def test_the_result_does_not_depend_on_the_tile(monkeypatch, tile: int, lags: int) -> None:
    matrix, layer = correcting(lags), first_layer()
    whole = handed(matrix, layer=layer)
    monkeypatch.setattr(tiles, "TILE", tile)
    np.testing.assert_allclose(handed(matrix, layer=layer).snapshot.keys, whole.snapshot.keys, atol=1e-4)


def test_a_row_for_bos_may_come_along_as_its_span_does() -> None:
    matrix, layer = correcting(), first_layer(1 + TOKENS)
    spans = np.concatenate([[(0, 0)], SPANS])
    done = exchange(cache(TOKENS // 2), matrix, target=TargetTokens(spans, first_layer=layer), policy=ANY)
    np.testing.assert_array_equal(done.snapshot.keys, handed(matrix, layer=layer[1:]).snapshot.keys)


def test_half_precision_is_taken() -> None:
    matrix, layer = correcting(), first_layer().astype("f2")
    done = handed(matrix, layer=layer)
    np.testing.assert_array_equal(done.snapshot.keys, handed(matrix, layer=layer.astype("f4")).snapshot.keys)


def test_a_predecessor_without_a_partner_has_no_innovation() -> None:
    # Source tokens 4 and 5, characters 8 to 11, are gone, and with them the target tokens 9 to 12.
    kept = np.array([0, 1, 2, 3, 4, *range(7, 21)])
    matrix, layer = correcting(), first_layer()
    plain, done = handed(matrix, layer=None, kept=kept), handed(matrix, layer=layer, kept=kept)
    positions = done.snapshot.frame.positions[1:]
    assert positions.tolist() == [*range(1, 10), *range(14, 41)]
    rows, there = rows_in(plain.snapshot)[1:], layer[positions - 1]
    gap = 9  # before and after it the tokens follow each other, and each part stands for itself
    expected = [corrected(rows[part], there[part], matrix.arrays) for part in (slice(0, gap), slice(gap, None))]
    np.testing.assert_allclose(rows_in(done.snapshot)[1:], np.concatenate(expected), atol=1e-4)


def test_lags_look_past_a_gap_to_what_is_there() -> None:
    layer = np.arange(1, 4, dtype=np.float32)[:, None]
    innovations = Innovations(layer, positions=np.array([1, 3, 4]), lags=3)
    found, true = zip(*(innovations.after(np.zeros((tokens, 1), np.float32)) for tokens in (2, 1)), strict=True)
    assert np.concatenate(found).tolist() == [[1, 0, 0], [2, 0, 1], [3, 2, 0]]
    np.testing.assert_array_equal(np.concatenate(true), layer)
    np.testing.assert_array_equal(innovations.found, layer)


def test_consecutive_positions_lag_as_calibration_does() -> None:
    layer = first_layer()
    innovations = Innovations(layer, positions=np.arange(1, TOKENS + 1), lags=4)
    np.testing.assert_array_equal(innovations.after(np.zeros_like(layer))[0], lagged(layer, 4))


def test_an_opened_w_matrix_corrects_as_the_file_does() -> None:
    matrix, layer = correcting(), first_layer()
    target = TargetTokens(SPANS, first_layer=layer)
    one, other = (exchange(cache(20), each, target=target, policy=ANY) for each in (matrix, open_w_matrix(matrix)))
    np.testing.assert_array_equal(one.snapshot.values, other.snapshot.values)


@pytest.mark.parametrize(
    "layer",
    [first_layer(TOKENS - 1), first_layer()[:, :-1], first_layer().ravel(), first_layer().astype("f8"), SPANS],
)
def test_it_refuses_a_first_layer_of_another_shape_and_says_which_it_expects(layer: np.ndarray) -> None:
    with pytest.raises(DimensionMismatch, match=re.escape(f"it must be ({TOKENS}, {WIDTH})")) as refused:
        handed(correcting(), layer=layer)
    assert refused.value.facts["field"] == "target_first_layer"
    assert refused.value.facts["expected"] == [TOKENS, WIDTH]
    assert refused.value.facts["came"] == list(layer.shape)


def test_it_refuses_a_first_layer_that_is_not_finite() -> None:
    layer = first_layer()
    layer[3, 1] = np.nan
    with pytest.raises(InvalidInput, match="target_first_layer"):
        handed(correcting(), layer=layer)


def test_without_a_correction_the_first_layer_is_not_used_and_said_so() -> None:
    done = handed(w_matrix(GEOMETRY, OTHER), layer=first_layer())
    assert not done.corrected
    assert any("has no correction" in finding for finding in done.findings)
    np.testing.assert_array_equal(done.snapshot.keys, handed(w_matrix(GEOMETRY, OTHER), layer=None).snapshot.keys)


# What is said of the quality: figures belong to the map that they were measured with.

MEASURED = replace(functional(), uncorrected=Interval(0.83, 0.81, 0.85))
STRICT = Policy(minimum_retention=0.8)


def on_record(**figures: Any) -> Evidence:
    return Evidence(quality=replace(MEASURED, **figures), certificate=CERTIFICATE, at=EVER.replace(year=2026))


def test_the_figures_on_record_are_those_of_the_corrected_map() -> None:
    done = handed(correcting(), layer=first_layer(), evidence=on_record(), policy=STRICT)
    assert done.quality.retention == 0.97
    assert not any("plain map" in finding for finding in done.findings)


def test_without_the_first_layer_they_are_those_of_the_plain_map() -> None:
    done = handed(correcting(), layer=None, evidence=on_record(), policy=STRICT)
    quality = done.quality
    assert (quality.retention, quality.information_retention, quality.confidence) == (0.83, 0.83, 0.81)
    assert (quality.cosine_similarity, quality.euclidean_distance) == (None, None)
    assert any("retention is that of the plain map" in finding for finding in done.findings)


@pytest.mark.parametrize("name", ["minimum_retention", "minimum_confidence"])
def test_a_plain_map_that_was_not_measured_reaches_no_minimum(name: str) -> None:
    with pytest.raises(QualityBelowThreshold, match="without the W-Matrix's correction was not measured") as refused:
        handed(correcting(), layer=None, evidence=on_record(uncorrected=None), policy=Policy(**{name: 0.1}))
    assert "target_first_layer" in refused.value.advice
    assert refused.value.facts["decision"] == "fallback_reprefill"


def test_a_plain_map_below_the_minimum_names_the_way_to_the_better_one() -> None:
    with pytest.raises(QualityBelowThreshold, match=r"is 0\.830; minimum_retention asks for 0\.9") as refused:
        handed(correcting(), layer=None, evidence=on_record(), policy=Policy(minimum_retention=0.9))
    assert "Give the target's tokens with their first layer" in refused.value.advice
    assert handed(correcting(), layer=first_layer(), evidence=on_record(), policy=Policy(minimum_retention=0.9))


def test_a_file_without_a_record_says_nothing_of_its_plain_map() -> None:
    assert handed(correcting(), layer=first_layer()).quality.retention == 0.8
    assert handed(correcting(), layer=None).quality.retention is None
