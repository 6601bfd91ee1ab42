"""Simulated pairs: what the file says of itself, and how its figures come about."""

from dataclasses import replace

import numpy as np
import pytest

from factory.recipes.simulated import MAX_FILE_BYTES, SimulatedOrder, generate_simulated, unified_dimension
from latentmas import blobs
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import read_w_matrix

pytestmark = pytest.mark.usefixtures("blobs_folder")
ORDER = SimulatedOrder("alpha", "beta", 48, 32, version="1.0.0", test_samples=64)


def test_a_simulated_w_matrix_says_so_in_its_file() -> None:
    made = generate_simulated(ORDER)
    w_matrix = read_w_matrix(blobs.local_path(made.file))
    assert w_matrix.document.quality_metrics.basis is Basis.SIMULATED
    assert w_matrix.document.source_weights is None
    assert (w_matrix.document.source_dimension, w_matrix.document.target_dimension) == (48, 32)
    assert made.quality.basis is Basis.SIMULATED
    assert made.quality.confidence is None
    assert made.quality.retention is None


def test_a_simulated_figure_is_measured_on_the_simulation() -> None:
    made = generate_simulated(replace(ORDER, test_samples=256))
    assert 0 < made.quality.epsilon < 0.5
    assert made.quality.epsilon == pytest.approx(1 - made.quality.information_retention)


def test_the_same_simulation_gives_the_same_file() -> None:
    first, second = (generate_simulated(ORDER) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("source", "target"), [(4096, 4096), (8192, 4096), (8192, 8192), (16384, 12288)])
def test_a_simulated_file_stays_below_two_megabytes(source: int, target: int) -> None:
    rank = unified_dimension(source, target)
    vectors = 2 * (source + target) * 4
    assert rank <= 64
    assert 2 * rank * (source + target) + vectors < MAX_FILE_BYTES + 60_000


def test_simulated_arrays_are_finite_in_fp16() -> None:
    made = generate_simulated(ORDER)
    encoder = read_w_matrix(blobs.local_path(made.file)).arrays["encoder"]
    assert encoder.dtype == np.float16
    assert np.abs(encoder).max() > 0
