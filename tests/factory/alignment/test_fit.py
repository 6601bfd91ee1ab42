"""The fit against textbook solutions in float64."""

import jax
import numpy as np
import pytest

from factory.alignment import gram
from factory.alignment.fit import fit_linear_map
from factory.alignment.gram import gram_matrices
from factory.alignment.ridge import dual_ridge
from factory.alignment.standardise import Moments, standard_of
from factory.progress import silent
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.w_matrix import Method
from tests.factory.sides import ROWS, Sides, in_chunks

SOURCE, TARGET, FACTORS = 70, 50, 12
PENALTY = 0.05


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks, the last one narrower."""
    monkeypatch.setattr(gram, "BLOCK", 32)


@pytest.fixture(scope="module")
def rows() -> Sides:
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(ROWS, FACTORS))
    source = factors @ generator.normal(size=(FACTORS, SOURCE)) + 0.3 * generator.normal(size=(ROWS, SOURCE)) + 5
    target = factors @ generator.normal(size=(FACTORS, TARGET)) + 0.3 * generator.normal(size=(ROWS, TARGET)) - 3
    return source.astype("f4"), target.astype("f4")


def textbook(rows: Sides, rank: int) -> np.ndarray:
    """Ridge in closed form, projected on the leading right singular vectors of the whitened cross-covariance."""
    x, y = (standard_of(side).apply(side).astype(np.float64) for side in rows)
    penalised = x.T @ x / ROWS + PENALTY * np.eye(SOURCE)
    cross = x.T @ y / ROWS
    whitened = np.linalg.solve(np.linalg.cholesky(penalised), cross)
    leading = np.linalg.svd(whitened)[2][:rank].T
    return np.linalg.solve(penalised, cross) @ leading @ leading.T


def test_mean_and_scale_are_those_of_all_rows_together(rows: Sides) -> None:
    moments = Moments()
    for mine, _ in in_chunks(*rows)():
        moments.add(mine)
    standard = moments.standard()
    np.testing.assert_allclose(standard.mean, rows[0].mean(axis=0, dtype="f8"), rtol=1e-6)
    np.testing.assert_allclose(standard.scale, rows[0].std(axis=0, dtype="f8"), rtol=1e-6)


def test_a_constant_feature_is_not_blown_up() -> None:
    table = np.random.default_rng(0).normal(size=(50, 3)).astype("f4")
    table[:, 1] = 7.0
    standard = standard_of(table)
    assert np.all(np.abs(standard.apply(table)[:, 1]) < 1e-3)


def test_nothing_cannot_be_standardised() -> None:
    with pytest.raises(InvalidInput, match="no rows"):
        Moments().standard()


def test_gram_matrices_are_those_of_all_rows_in_float64(rows: Sides) -> None:
    with jax.enable_x64(True):
        own, cross, count = gram_matrices(in_chunks(*rows)(), source=SOURCE, target=TARGET)
    x, y = (side.astype("f8") for side in rows)
    assert count == ROWS
    assert own.dtype == cross.dtype == np.float64
    np.testing.assert_allclose(np.tril(own), np.tril(x.T @ x / ROWS), rtol=1e-5)
    np.testing.assert_allclose(cross, x.T @ y / ROWS, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [FACTORS, TARGET])
def test_the_fit_is_the_closed_form(rows: Sides, rank: int) -> None:
    fitted = fit_linear_map(in_chunks(*rows), penalty=PENALTY, rank=rank, progress=silent("fit"))
    assert (fitted.encoder.shape, fitted.decoder.shape) == ((SOURCE, rank), (rank, TARGET))
    np.testing.assert_allclose(fitted.encoder @ fitted.decoder, textbook(rows, rank), atol=2e-4)
    assert fitted.rows == ROWS


def test_a_truncated_fit_is_the_fit_of_that_rank(rows: Sides) -> None:
    full = fit_linear_map(in_chunks(*rows), penalty=PENALTY, rank=TARGET, progress=silent("fit"))
    cut = full.truncated(4)
    np.testing.assert_allclose(cut.encoder @ cut.decoder, textbook(rows, 4), atol=2e-4)


def test_encoder_and_decoder_share_their_scale_so_that_fp16_holds_both(rows: Sides) -> None:
    fitted = fit_linear_map(in_chunks(*rows), penalty=PENALTY, rank=8, progress=silent("fit"))
    np.testing.assert_allclose(
        np.linalg.norm(fitted.encoder, axis=0), np.linalg.norm(fitted.decoder, axis=1), rtol=1e-4
    )


def test_the_dual_form_is_the_same_ridge(rows: Sides) -> None:
    x, y = (standard_of(side).apply(side).astype("f8") for side in rows)
    solution = np.linalg.solve(x.T @ x / ROWS + PENALTY * np.eye(SOURCE), x.T @ y / ROWS)
    leading = np.linalg.svd(x @ solution, full_matrices=False)[2][:FACTORS].T
    encoder, decoder = dual_ridge(x.astype("f4"), y.astype("f4"), ridge=PENALTY, rank=FACTORS)
    np.testing.assert_allclose(np.asarray(encoder @ decoder), solution @ leading @ leading.T, atol=1e-3)


def test_residuals_of_an_unseen_document_are_those_of_a_fit_without_it(rows: Sides) -> None:
    fitted = fit_linear_map(in_chunks(*rows), penalty=PENALTY, rank=TARGET, progress=silent("fit"))
    x, y = (
        side.apply(each).astype(np.float64) for side, each in zip((fitted.source, fitted.target), rows, strict=True)
    )
    document, rest = slice(0, 40), slice(40, None)
    penalised = x[rest].T @ x[rest] + PENALTY * ROWS * np.eye(SOURCE)
    wanted = y[document] - x[document] @ np.linalg.solve(penalised, x[rest].T @ y[rest])
    found = fitted.unseen(rows[0][document], rows[1][document])
    np.testing.assert_allclose(found, wanted, atol=2e-4)
    seen = y[document] - x[document] @ fitted.encoder @ fitted.decoder
    assert np.square(found).mean() > 1.03 * np.square(seen).mean()


def test_procrustes_has_no_factor_and_returns_its_residuals(rows: Sides) -> None:
    fitted = fit_linear_map(
        in_chunks(*rows), penalty=PENALTY, rank=FACTORS, progress=silent("fit"), method=Method.ORTHOGONAL
    )
    predicted = fitted.source.apply(rows[0]) @ fitted.encoder @ fitted.decoder
    np.testing.assert_allclose(fitted.unseen(*rows), fitted.target.apply(rows[1]) - predicted, rtol=1e-6)
