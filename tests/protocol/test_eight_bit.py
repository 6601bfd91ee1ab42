"""The 8-bit form of a W-Matrix: int8 with one scale for every 64 entries of the wide side."""

import numpy as np
import pytest

from latentmas.protocol.eight_bit import MATRICES, matrix_of, scales_of, to_eight_bit


def _arrays(generator, *, ds=200, du=16, dt=130):
    heads = np.repeat(10.0 ** generator.uniform(-3, 0, (-(-ds // 64), du)), 64, axis=0)[:ds]
    encoder = (generator.normal(size=(ds, du)) * heads).astype(np.float32)
    return {"encoder": encoder, "decoder": generator.normal(size=(du, dt)).astype(np.float32)}


def test_it_loses_less_than_a_percent_even_where_directions_are_concentrated_in_few_heads():
    arrays = _arrays(np.random.default_rng(1))
    small = to_eight_bit(arrays)
    for name in MATRICES:
        assert small[name].dtype == np.int8
        assert small[f"{name}_scale"].shape == scales_of(arrays[name].shape)
        error = matrix_of(small, name) - arrays[name]
        assert np.linalg.norm(error) < 0.01 * np.linalg.norm(arrays[name])


@pytest.mark.parametrize("fill", [0.0, 6e4])
def test_zeros_and_the_largest_half_precision_numbers_survive(fill):
    arrays = {"encoder": np.full((70, 3), fill, np.float32), "decoder": np.full((3, 70), -fill, np.float32)}
    small = to_eight_bit(arrays)
    for name in MATRICES:
        assert matrix_of(small, name) == pytest.approx(arrays[name], rel=0.01)


def test_a_matrix_in_half_precision_is_returned_as_it_is():
    encoder = np.arange(6, dtype=np.float16).reshape(3, 2)
    assert matrix_of({"encoder": encoder}, "encoder").tolist() == encoder.tolist()
