"""The basis of a tall matrix, from well conditioned to hopeless."""

import jax
import numpy as np
import pytest

from factory.alignment import orthonormal as module
from factory.alignment.orthonormal import orthonormal
from latentmas.protocol.errors import InvalidInput

ROWS, COLUMNS = 700, 24


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks, the last one shorter."""
    monkeypatch.setattr(module, "BLOCK", 256)
    monkeypatch.setattr(module, "STRIP", 10)


def tall_with(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a matrix with the given singular values, and its left singular vectors."""
    generator = np.random.default_rng(0)
    left, _ = np.linalg.qr(generator.normal(size=(ROWS, COLUMNS)))
    right, _ = np.linalg.qr(generator.normal(size=(COLUMNS, COLUMNS)))
    return (left * values @ right.T).astype("f4"), left


@pytest.mark.parametrize("condition", [1e0, 1e3, 1e6, 1e12])
def test_it_is_orthonormal_however_the_columns_are_conditioned(condition: float) -> None:
    tall, left = tall_with(np.geomspace(1, 1 / condition, COLUMNS))
    with jax.enable_x64(True):
        basis = np.asarray(orthonormal(tall)).astype("f8")
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=2e-6)
    # What float32 still holds of the matrix, the basis spans.
    np.testing.assert_allclose(basis @ (basis.T @ tall), tall, atol=3e-6)
    strong = left[:, np.geomspace(1, 1 / condition, COLUMNS) > 1e-3]
    np.testing.assert_allclose(np.linalg.norm(basis.T @ strong, axis=0), 1, atol=1e-3)


def test_it_has_as_many_columns_as_the_matrix_has_rank() -> None:
    values = np.geomspace(1, 0.1, COLUMNS)
    values[5:] = 0
    with jax.enable_x64(True):
        basis = np.asarray(orthonormal(np.repeat(tall_with(values)[0][:, :12], 2, axis=1)))
    assert basis.shape == (ROWS, 5)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_it_refuses_what_spans_nothing(value: float) -> None:
    with jax.enable_x64(True), pytest.raises(InvalidInput, match="empty or not finite"):
        orthonormal(np.full((ROWS, COLUMNS), value, "f4"))
