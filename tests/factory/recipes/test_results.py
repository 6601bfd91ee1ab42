"""Finished results on disk: found again by their inputs, never half there."""

from pathlib import Path

import pytest

from factory.recipes import results
from factory.recipes.simulated import SimulatedOrder, generate_simulated
from latentmas import blobs
from latentmas.protocol.errors import StorageUnavailable

pytestmark = pytest.mark.usefixtures("blobs_folder")
ORDER = SimulatedOrder("alpha", "beta", 48, 32, version="1.0.0", test_samples=64)


def test_a_finished_result_is_found_again_by_its_inputs(tmp_path: Path) -> None:
    made = generate_simulated(ORDER)
    inputs = results.inputs_digest(pair="alpha -> beta", samples=64)
    assert results.recall(inputs, cache=tmp_path) is None
    results.remember(inputs, made, cache=tmp_path)
    assert results.recall(inputs, cache=tmp_path) == made
    assert results.recall(results.inputs_digest(pair="alpha -> beta", samples=65), cache=tmp_path) is None


def test_a_result_whose_file_is_gone_is_made_again(tmp_path: Path) -> None:
    made = generate_simulated(ORDER)
    results.remember("inputs", made, cache=tmp_path)
    blobs.local_path(made.file).unlink()
    assert results.recall("inputs", cache=tmp_path) is None


def test_a_damaged_record_is_made_again(tmp_path: Path) -> None:
    results.remember("inputs", generate_simulated(ORDER), cache=tmp_path)
    (tmp_path / "generated" / "inputs.json").write_text('{"version": "1.0')
    assert results.recall("inputs", cache=tmp_path) is None


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    made = generate_simulated(ORDER)
    (tmp_path / "generated").write_text("a file where the folder should be")
    with pytest.raises(StorageUnavailable, match="could not be kept"):
        results.remember("inputs", made, cache=tmp_path)
