"""The sketched fit against the full one."""

import numpy as np
import pytest

from factory.alignment import sketched
from factory.alignment.fit import fit_linear_map
from factory.alignment.sketched import accumulate_sketch, fit_sketched, solve_sketch
from factory.progress import silent
from latentmas.protocol.errors import InvalidInput
from tests.factory.sides import Sides, in_chunks, make_sides, standardised

PENALTY = 0.05


@pytest.fixture(autouse=True)
def _small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketched, "SLAB", 4096)
    monkeypatch.setattr(sketched, "BLOCK", 32)


def full_map(sides: Sides, rank: int) -> np.ndarray:
    found = fit_linear_map(in_chunks(*sides), penalty=PENALTY, rank=rank, progress=silent("fit"))
    return found.encoder @ found.decoder


@pytest.mark.parametrize("widths", [(60, 45), (45, 60)])
def test_a_sketch_as_wide_as_the_source_gives_the_full_fit(widths: tuple[int, int]) -> None:
    sides = make_sides(*widths)
    found = fit_sketched(in_chunks(*sides), penalty=PENALTY, rank=12, width=60, progress=silent("fit"))
    np.testing.assert_allclose(found.encoder @ found.decoder, full_map(sides, 12), atol=5e-4)


def test_a_narrow_sketch_loses_little_where_the_rows_are_nearly_of_low_rank() -> None:
    sides = make_sides(400, 300, noise=0.2)
    found = fit_sketched(in_chunks(*sides), penalty=PENALTY, rank=12, width=40, progress=silent("fit"))
    x, y = (standardised(side) for side in sides)
    mine, full = (np.square(x @ each - y).mean() for each in (found.encoder @ found.decoder, full_map(sides, 12)))
    assert full < mine < 1.02 * full


def test_more_powers_find_the_leading_directions_better() -> None:
    sides = make_sides(400, 300, noise=1.5)
    x = standardised(sides[0])
    held = []
    for powers in (1, 2):
        basis = accumulate_sketch(in_chunks(*sides), width=40, powers=powers, progress=silent("fit")).basis
        held.append(np.square(x @ np.asarray(basis)).sum())
    assert held[0] < held[1] <= np.square(np.linalg.svd(x, compute_uv=False)[:40]).sum() * 1.0001


def test_rows_of_low_rank_make_the_sketch_as_narrow() -> None:
    statistics = accumulate_sketch(
        in_chunks(*make_sides(50, 40, factors=6, noise=0.0)), width=30, progress=silent("fit")
    )
    assert statistics.basis.shape[1] < 30
    found = solve_sketch(statistics, penalty=1e-3, rank=6)
    assert np.isfinite(found.encoder).all()
    with pytest.raises(InvalidInput, match="the sketch holds"):
        solve_sketch(statistics, penalty=1e-3, rank=30)


def test_the_latent_scale_is_the_root_mean_square_in_calibration() -> None:
    sides = make_sides(60, 45)
    found = fit_sketched(in_chunks(*sides), penalty=PENALTY, rank=12, width=30, progress=silent("fit"))
    latents = standardised(sides[0]) @ found.encoder
    np.testing.assert_allclose(found.latent_scale, np.sqrt(np.square(latents).mean(axis=0)), rtol=1e-3)


def test_weights_count_rows_as_often_as_they_say() -> None:
    sides = make_sides(45, 60, rows=512)
    weights = np.random.default_rng(1).integers(1, 4, 512)
    maps = [
        fit_sketched(in_chunks(*rows), penalty=PENALTY, rank=12, width=30, progress=silent("fit"))
        for rows in ((*sides, weights.astype("f4")), tuple(np.repeat(side, weights, axis=0) for side in sides))
    ]
    weighted, expected = (each.encoder @ each.decoder for each in maps)
    np.testing.assert_allclose(weighted, expected, atol=3e-4)


def test_it_refuses_fewer_rows_than_the_rank_needs() -> None:
    with pytest.raises(InvalidInput, match="needs at least 11"):
        fit_sketched(
            in_chunks(*make_sides(30, 20, rows=10)), penalty=PENALTY, rank=10, width=20, progress=silent("fit")
        )


@pytest.mark.parametrize(("width", "powers"), [(0, 1), (8, 0)])
def test_it_refuses_a_sketch_of_nothing(width: int, powers: int) -> None:
    with pytest.raises(InvalidInput, match="positive"):
        accumulate_sketch(in_chunks(*make_sides(8, 8)), width=width, powers=powers, progress=silent("fit"))
