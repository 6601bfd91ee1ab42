"""The three methods against textbook solutions in float64."""

import numpy as np
import pytest

from factory.alignment.fit import LinearMap, accumulate, fit_linear_map, solve
from factory.progress import silent
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.w_matrix import Method
from tests.factory.sides import ROWS, Sides, in_chunks, make_sides, standardised

PENALTY = 0.05
WIDTHS = [(40, 40), (60, 35), (35, 60)]  # as wide, wider and narrower than the target


def fitted(sides: Sides, *, method: Method, rank: int, penalty: float = PENALTY) -> LinearMap:
    return fit_linear_map(in_chunks(*sides), method=method, penalty=penalty, rank=rank, progress=silent("fit"))


def textbook_procrustes(x: np.ndarray, y: np.ndarray, rank: int) -> np.ndarray:
    left, values, right = np.linalg.svd(x.T @ y / len(x), full_matrices=False)
    rotation = left[:, :rank] @ right[:rank]
    return rotation * values[:rank].sum() / np.trace(rotation.T @ x.T @ x @ rotation / len(x))


def textbook_ridge(x: np.ndarray, y: np.ndarray, base: np.ndarray, rank: int) -> np.ndarray:
    """Least squares on rows augmented by sqrt(penalty n) I, which pulls to the base; then truncated (Izenman 1975)."""
    pull = np.sqrt(PENALTY * len(x))
    rows, wanted = np.concatenate([x, pull * np.eye(x.shape[1])]), np.concatenate([y, pull * base])
    solution = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    leading = np.linalg.svd(rows @ solution, full_matrices=False)[2][:rank].T
    return solution @ leading @ leading.T


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("rank", [5, 35])
def test_orthogonal_is_the_textbooks_procrustes(widths: tuple[int, int], rank: int) -> None:
    sides = make_sides(*widths, factors=3 * rank)  # no singular value that is only noise: its direction is anything
    found = fitted(sides, method=Method.ORTHOGONAL, rank=rank)
    expected = textbook_procrustes(*(standardised(side) for side in sides), rank)
    np.testing.assert_allclose(found.encoder @ found.decoder, expected, atol=2e-4)


def test_orthogonal_preserves_angles_up_to_its_one_scale() -> None:
    found = fitted(make_sides(40, 40, factors=60), method=Method.ORTHOGONAL, rank=40)
    square = (found.encoder @ found.decoder).T @ (found.encoder @ found.decoder)
    np.testing.assert_allclose(square / square[0, 0], np.eye(40), atol=1e-4)


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("rank", [5, 35])
def test_hybrid_is_ridge_that_shrinks_to_the_rotation(widths: tuple[int, int], rank: int) -> None:
    sides = make_sides(*widths, factors=3 * rank)
    found = fitted(sides, method=Method.HYBRID, rank=rank)
    x, y = (standardised(side) for side in sides)
    expected = textbook_ridge(x, y, textbook_procrustes(x, y, rank), rank)
    np.testing.assert_allclose(found.encoder @ found.decoder, expected, atol=3e-4)


@pytest.mark.parametrize("widths", WIDTHS)
def test_learned_is_ridge_that_shrinks_to_nothing(widths: tuple[int, int]) -> None:
    sides = make_sides(*widths)
    found = fitted(sides, method=Method.LEARNED, rank=5)
    expected = textbook_ridge(*(standardised(side) for side in sides), np.zeros(widths), 5)
    np.testing.assert_allclose(found.encoder @ found.decoder, expected, atol=3e-4)


def test_hybrid_lies_between_ridge_and_the_rotation() -> None:
    sides = make_sides(60, 35)
    rotation = fitted(sides, method=Method.ORTHOGONAL, rank=35)
    for penalty, method in ((1e-5, Method.LEARNED), (1e6, Method.ORTHOGONAL)):
        hybrid = fitted(sides, method=Method.HYBRID, rank=35, penalty=penalty)
        limit = fitted(sides, method=method, rank=35, penalty=penalty) if method is Method.LEARNED else rotation
        np.testing.assert_allclose(hybrid.encoder @ hybrid.decoder, limit.encoder @ limit.decoder, atol=3e-3)


@pytest.mark.parametrize("method", Method)
def test_the_latent_scale_is_the_root_mean_square_in_calibration(method: Method) -> None:
    sides = make_sides(60, 35)
    found = fitted(sides, method=method, rank=35)
    latents = standardised(sides[0]) @ found.encoder
    np.testing.assert_allclose(found.latent_scale, np.sqrt(np.square(latents).mean(axis=0)), rtol=1e-3)
    assert found.arrays()["latent_scale"].dtype == np.float32
    assert found.truncated(7).arrays()["latent_scale"].shape == (7,)


@pytest.mark.parametrize("method", Method)
def test_a_rank_that_the_data_does_not_have_gives_finite_matrices(method: Method) -> None:
    sides = make_sides(60, 35, factors=4, noise=0.0)
    found = fitted(sides, method=method, rank=35)
    assert all(np.isfinite(array).all() for array in found.arrays().values())
    assert (found.latent_scale > 0).all()
    x, y = (standardised(side) for side in sides)
    if method is Method.ORTHOGONAL:
        np.testing.assert_allclose(found.encoder @ found.decoder, textbook_procrustes(x, y, 4), atol=1e-3)
    else:
        assert np.abs(x @ found.encoder @ found.decoder - y).mean() < 0.02


@pytest.mark.parametrize("method", Method)
def test_rows_that_are_all_alike_give_a_map_to_the_mean(method: Method) -> None:
    sides = np.full((20, 5), 3, "f4"), np.full((20, 4), 2, "f4")
    found = fitted(sides, method=method, rank=2)
    assert all(np.isfinite(array).all() for array in found.arrays().values())
    assert not (found.encoder @ found.decoder).any()


@pytest.mark.parametrize("method", Method)
def test_weights_count_rows_as_often_as_they_say(method: Method) -> None:
    sides = make_sides(35, 60, rows=512)
    weights = np.random.default_rng(1).integers(1, 4, 512)
    repeated = tuple(np.repeat(side, weights, axis=0) for side in sides)
    weighted = fitted((*sides, weights.astype("f4")), method=method, rank=5)
    expected = fitted(repeated, method=method, rank=5)
    np.testing.assert_allclose(weighted.source.mean, expected.source.mean, rtol=1e-5)
    np.testing.assert_allclose(weighted.encoder @ weighted.decoder, expected.encoder @ expected.decoder, atol=2e-4)
    assert weighted.rows == 512


def test_it_refuses_a_weight_that_is_negative() -> None:
    weights = np.ones(ROWS, "f4")
    weights[3] = -1
    with pytest.raises(InvalidInput, match="not negative"):
        accumulate(in_chunks(*make_sides(8, 8), weights), progress=silent("fit"))


@pytest.mark.parametrize("rows", [1, 10])
def test_it_says_how_many_rows_a_rank_needs(rows: int) -> None:
    with pytest.raises(InvalidInput, match=f"rank 10 needs at least 11 paired rows, and there are {rows}"):
        fitted(make_sides(30, 20, rows=rows), method=Method.LEARNED, rank=10)


def test_it_refuses_a_rank_beyond_the_narrower_model() -> None:
    with pytest.raises(InvalidInput, match="from 1 to 20"):
        fitted(make_sides(30, 20), method=Method.ORTHOGONAL, rank=21)


@pytest.mark.parametrize("penalty", [0.0, -1.0, float("nan")])
def test_it_refuses_a_penalty_that_is_not_positive(penalty: float) -> None:
    with pytest.raises(InvalidInput, match="positive"):
        fitted(make_sides(8, 8), method=Method.HYBRID, rank=2, penalty=penalty)


def test_it_refuses_rows_that_are_not_finite() -> None:
    source, target = make_sides(8, 8)
    source[5, 2] = np.inf
    with pytest.raises(InvalidInput, match="not finite"):
        fitted((source, target), method=Method.LEARNED, rank=2)


def test_the_penalty_must_exceed_the_rounding_of_a_singular_gram_matrix() -> None:
    statistics = accumulate(in_chunks(*make_sides(60, 8, factors=2, noise=0.0)), progress=silent("fit"))
    with pytest.raises(InvalidInput, match="rounding error"):
        solve(statistics, penalty=1e-12, rank=2)
