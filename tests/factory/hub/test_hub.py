"""The hub of several models against direct maps and against canonical correlation in float64."""

import itertools

import numpy as np
import pytest

from factory.alignment import gram
from factory.alignment.fit import LinearMap, fit_linear_map
from factory.hub.hub import Hub, fit_hub
from factory.hub.views import accumulate_views
from factory.progress import silent
from latentmas.protocol.errors import InvalidInput
from tests.factory.sides import ROWS, Sides, in_chunks, make_sides, standardised

PENALTY = 0.05
WIDTHS = (70, 50, 20)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "BLOCK", 32)


def hub_of(sides: Sides, *, rank: int, corrections: int) -> Hub:
    statistics = accumulate_views(in_chunks(*sides), progress=silent("hub"))
    return fit_hub(statistics, penalty=PENALTY, rank=rank, corrections=corrections)


def direct(sides: Sides, *, source: int, target: int, rank: int) -> LinearMap:
    chunks = in_chunks(sides[source], sides[target])
    return fit_linear_map(chunks, penalty=PENALTY, rank=rank, progress=silent("fit"))


def error(found: LinearMap, sides: Sides, *, source: int, target: int) -> float:
    x, y = standardised(sides[source]), standardised(sides[target])
    return float(np.square(x @ found.encoder @ found.decoder - y).mean())


def test_the_statistics_are_those_of_every_pair() -> None:
    sides = make_sides(*WIDTHS)
    statistics = accumulate_views(in_chunks(*sides), progress=silent("hub"))
    exact = [standardised(side) for side in sides]
    for i, j in itertools.permutations(range(3), 2):
        np.testing.assert_allclose(statistics.cross(i, j), exact[i].T @ exact[j] / ROWS, atol=1e-5)
        np.testing.assert_allclose(np.tril(statistics.grams[i]), np.tril(exact[i].T @ exact[i] / ROWS), atol=1e-5)


def test_without_corrections_the_latents_are_those_of_canonical_correlation() -> None:
    sides = make_sides(*WIDTHS)
    found = hub_of(sides, rank=6, corrections=0)
    smoothers = np.zeros((ROWS, ROWS))
    for x in map(standardised, sides):
        smoothers += x @ np.linalg.solve(x.T @ x + PENALTY * ROWS * np.eye(x.shape[1]), x.T)
    consensus = np.linalg.eigh(smoothers)[1][:, -6:]  # MAXVAR's latents of unit variance
    together = sum(standardised(side) @ each.encoder for side, each in zip(sides, found.models, strict=True))
    cosines = np.linalg.svd(np.linalg.qr(together)[0].T @ consensus, compute_uv=False)
    np.testing.assert_allclose(cosines, 1, atol=1e-4)


def test_for_two_models_the_corrections_end_at_the_direct_maps() -> None:
    sides = make_sides(*WIDTHS[:2])
    found = hub_of(sides, rank=6, corrections=60)
    for source, target in ((0, 1), (1, 0)):
        mine, theirs = found.compose(source=source, target=target), direct(sides, source=source, target=target, rank=6)
        np.testing.assert_allclose(mine.encoder @ mine.decoder, theirs.encoder @ theirs.decoder, atol=2e-3)


def test_corrections_lower_the_error_summed_over_all_pairs() -> None:
    sides = make_sides(*WIDTHS)
    pairs = list(itertools.permutations(range(3), 2))
    totals = []
    for corrections in (0, 1, 8):
        found = hub_of(sides, rank=6, corrections=corrections)
        totals.append(sum(error(found.compose(source=i, target=j), sides, source=i, target=j) for i, j in pairs))
    assert totals[0] > totals[1] > totals[2]


def test_with_room_for_all_shared_factors_a_hub_is_nearly_as_good_as_direct_maps() -> None:
    sides = make_sides(*WIDTHS)
    found = hub_of(sides, rank=24, corrections=8)
    for i, j in ((0, 1), (1, 2)):
        mine = error(found.compose(source=i, target=j), sides, source=i, target=j)
        own = direct(sides, source=i, target=j, rank=min(24, WIDTHS[i], WIDTHS[j]))
        assert mine < 1.03 * error(own, sides, source=i, target=j)


def test_the_strongest_directions_come_first() -> None:
    sides = make_sides(*WIDTHS)
    composed = hub_of(sides, rank=24, corrections=4).compose(source=0, target=1)
    errors = [error(composed.truncated(rank), sides, source=0, target=1) for rank in (3, 6, 9, 12)]
    assert errors == sorted(errors, reverse=True)


def test_the_latent_scale_is_the_root_mean_square_in_calibration() -> None:
    sides = make_sides(*WIDTHS)
    composed = hub_of(sides, rank=6, corrections=2).compose(source=1, target=0)
    latents = standardised(sides[1]) @ composed.encoder
    np.testing.assert_allclose(composed.latent_scale, np.sqrt(np.square(latents).mean(axis=0)), rtol=2e-3)


def test_a_hub_wider_than_a_model_and_than_the_data_stays_finite() -> None:
    found = hub_of(make_sides(*WIDTHS, factors=3, noise=0.0), rank=24, corrections=3)
    for i, j in itertools.permutations(range(3), 2):
        assert all(np.isfinite(array).all() for array in found.compose(source=i, target=j).arrays().values())


def test_it_refuses_a_single_model() -> None:
    with pytest.raises(InvalidInput, match="at least two"):
        accumulate_views(in_chunks(*make_sides(8)), progress=silent("hub"))


def test_it_refuses_rows_that_do_not_correspond() -> None:
    first, second = make_sides(8, 6)
    with pytest.raises(InvalidInput, match="must agree"):
        accumulate_views(lambda: iter([(first, second[:-1])]), progress=silent("hub"))


def test_it_says_how_many_rows_a_rank_needs() -> None:
    with pytest.raises(InvalidInput, match="needs at least 21"):
        hub_of(make_sides(*WIDTHS, rows=20), rank=20, corrections=0)
