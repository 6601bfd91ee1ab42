import numpy as np
import pytest

from kvcache.exchange.mapping import open_map
from kvcache.exchange.quality import calibrated, inside, row_distances, snapshot_distance
from latentmas.protocol.eight_bit import to_eight_bit
from latentmas.protocol.errors import InvalidInput


def arrays(width: int = 6, unified: int = 3) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "encoder": generator.normal(size=(width, unified)).astype("f4"),
        "decoder": generator.normal(size=(unified, width)).astype("f4"),
        "source_mean": generator.normal(size=width).astype("f4"),
        "source_scale": generator.uniform(0.5, 2, size=width).astype("f4"),
        "target_mean": np.zeros(width, "f4"),
        "target_scale": np.ones(width, "f4"),
        "latent_scale": generator.uniform(0.5, 2, size=unified).astype("f4"),
    }


def test_distances_are_the_mean_square_of_scaled_latents() -> None:
    known = arrays()
    rows = np.random.default_rng(1).normal(size=(5, 6)).astype("f4")
    latents = (rows - known["source_mean"]) / known["source_scale"] @ known["encoder"]
    expected = np.square(latents / known["latent_scale"]).mean(axis=1)
    np.testing.assert_allclose(row_distances(rows, open_map(known)), expected, rtol=1e-5)
    assert snapshot_distance(rows, open_map(known)) == pytest.approx(float(np.median(expected)), rel=1e-5)


def test_rows_like_those_of_calibration_are_about_one_away() -> None:
    known = arrays()
    rows = np.random.default_rng(2).normal(size=(20_000, 6)).astype("f4") * known["source_scale"]
    rows += known["source_mean"]
    latents = (rows - known["source_mean"]) / known["source_scale"] @ known["encoder"]
    known["latent_scale"] = np.sqrt(np.mean(np.square(latents), axis=0))
    assert row_distances(rows, open_map(known)).mean() == pytest.approx(1.0, abs=1e-3)


def test_the_8_bit_form_measures_nearly_alike() -> None:
    known = arrays()
    rows = np.random.default_rng(3).normal(size=(50, 6)).astype("f4")
    small = to_eight_bit(known)
    assert snapshot_distance(rows, open_map(small)) == pytest.approx(snapshot_distance(rows, open_map(known)), rel=0.05)


def test_a_w_matrix_that_does_not_say_how_its_latents_spread_measures_nothing() -> None:
    known = arrays()
    del known["latent_scale"]
    with pytest.raises(InvalidInput, match="latent_scale"):
        row_distances(np.zeros((1, 6), "f4"), open_map(known))


def test_the_bounds_lie_beyond_every_document_of_calibration() -> None:
    bounds = calibrated([0.8, 1.0, 1.25])
    assert bounds.documents == 3
    assert bounds.low < 0.8 < 1.25 < bounds.high
    assert bounds.low == pytest.approx(0.64)
    assert bounds.high == pytest.approx(1.5625)
    assert inside(0.7, bounds)
    assert not inside(0.6, bounds)
    assert not inside(1.6, bounds)


def test_documents_that_are_all_alike_still_leave_a_margin() -> None:
    bounds = calibrated([1.0, 1.0])
    assert (bounds.low, bounds.high) == pytest.approx((1 / 1.1, 1.1))


@pytest.mark.parametrize("distances", [[], [1.0], [1.0, 0.0], [1.0, float("inf")]])
def test_it_refuses_what_gives_no_bounds(distances: list[float]) -> None:
    with pytest.raises(InvalidInput):
        calibrated(distances)
