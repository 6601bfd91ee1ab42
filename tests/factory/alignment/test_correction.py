"""The correction and its control, on rows whose first layers tell the others."""

import numpy as np
import pytest

from factory.alignment.correction import LAGS, fit_correction, fit_tokens_only, rows_from_tokens
from factory.alignment.standardise import standard_of
from kvcache.exchange.mapping import open_map
from latentmas.protocol.errors import InvalidInput
from tests.kvcache.exchange.sample import GEOMETRY, OTHER, w_matrix

WIDTH = OTHER.layer_width


def target_rows(tokens: int, seed: int) -> np.ndarray:
    """Rows whose deeper layers follow from the first layer of a token and of the one before."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(tokens, OTHER.width)).astype("f4")
    before = np.concatenate([np.zeros((1, WIDTH)), rows[:-1, :WIDTH]])
    mixing = np.random.default_rng(0).normal(size=(2 * WIDTH, OTHER.width - WIDTH)) / WIDTH**0.5
    rows[:, WIDTH:] = np.concatenate([rows[:, :WIDTH], before], axis=1) @ mixing
    return rows


def test_what_the_first_layers_tell_is_learnt() -> None:
    rows = [target_rows(400, seed) for seed in range(4)]
    control = fit_tokens_only(rows, standard=standard_of(np.concatenate(rows)), width=WIDTH)
    fresh = target_rows(300, 9)
    predicted = rows_from_tokens(control, fresh)
    np.testing.assert_array_equal(predicted[:, :WIDTH], fresh[:, :WIDTH])
    errors = np.square(predicted - fresh)[:, WIDTH:].sum() / np.square(fresh)[:, WIDTH:].sum()
    assert errors < 0.02


def test_the_control_sees_nothing_but_the_first_layers() -> None:
    rows = [target_rows(400, seed) for seed in range(2)]
    control = fit_tokens_only(rows, standard=standard_of(rows[0]), width=WIDTH)
    fresh = target_rows(50, 9)
    changed = fresh.copy()
    changed[:, WIDTH:] += 1
    np.testing.assert_array_equal(rows_from_tokens(control, changed), rows_from_tokens(control, fresh))


def test_a_correction_has_one_part_for_each_lag() -> None:
    matrix = w_matrix(GEOMETRY, OTHER)
    arrays = fit_correction([target_rows(300, 2)], width=WIDTH)
    assert arrays["correction_encoder"].shape[:2] == (LAGS, WIDTH)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    opened = open_map(matrix.arrays | arrays, target=OTHER)
    assert opened.correction is not None
    assert (opened.correction.lags, opened.correction.width) == (LAGS, WIDTH)


def test_without_documents_there_is_nothing_to_correct() -> None:
    with pytest.raises(InvalidInput, match="anything to correct"):
        fit_correction([], width=WIDTH)
