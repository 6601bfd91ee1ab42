"""What reading some tokens shows to be wrong is put right on tokens like them."""

from dataclasses import replace

import numpy as np
import pytest

from awareness_sdk.residuals import LEAST, NOISE, POWER, corrected
from kvcache.rows import rows_in, whole_snapshot
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot

GEOMETRY = KVGeometry(3, 2, 8, 8, (10_000.0,) * 3, (None, 4, None))
KINDS, TOKENS = 4, 48
RANDOM = np.random.default_rng(4)
WORDS = RANDOM.normal(size=(KINDS, GEOMETRY.width)).astype("f4")
WRONG = RANDOM.normal(size=(KINDS, GEOMETRY.width)).astype("f4")
KIND = RANDOM.integers(0, KINDS, TOKENS)
READ = np.arange(2, TOKENS, 3)
OTHERS = np.setdiff1d(np.arange(1, TOKENS), READ)


def snapshots() -> tuple[KVSnapshot, KVSnapshot]:
    """The target's own memory of words that come again, and one that is wrong on each word in its own way."""
    own = WORDS[KIND] + 0.1 * RANDOM.normal(size=(TOKENS, GEOMETRY.width)).astype("f4")
    return tuple(whole_snapshot(rows, geometry=GEOMETRY) for rows in (own, own + WRONG[KIND]))


def distance(one: KVSnapshot, other: KVSnapshot, tokens: np.ndarray) -> float:
    return float(np.square(rows_in(one)[tokens] - rows_in(other)[tokens]).mean())


def test_errors_are_carried_over_to_words_that_come_again() -> None:
    own, wrong = snapshots()
    better = corrected(wrong, own.select(READ))
    assert distance(better, own, OTHERS) < 0.25 * distance(wrong, own, OTHERS)
    np.testing.assert_array_equal(better.keys[:, READ], wrong.keys[:, READ])
    np.testing.assert_array_equal(better.keys[:, 0], wrong.keys[:, 0])


def test_it_is_kernel_ridge_regression_on_rows_without_rope() -> None:
    own, wrong = snapshots()
    rows, truth = rows_in(wrong)[1:], rows_in(own)[1:]
    seen, others = READ - 1, OTHERS - 1
    values = rows.reshape(len(rows), GEOMETRY.layers, 2, -1)[:, :, 1].reshape(len(rows), -1)
    standard = (values - values.mean(axis=0)) / values.std(axis=0)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    alike = np.maximum(standard @ standard.T, 0) ** POWER
    weights = np.linalg.solve(alike[np.ix_(seen, seen)] + NOISE * np.eye(len(seen)), (truth - rows)[seen])
    expected = rows[others] + alike[np.ix_(others, seen)] @ weights
    np.testing.assert_allclose(rows_in(corrected(wrong, own.select(READ)))[OTHERS], expected, atol=1e-4)


def test_a_memory_without_errors_stays_as_it_is() -> None:
    own, _ = snapshots()
    np.testing.assert_allclose(corrected(own, own.select(READ)).keys, own.keys, atol=1e-5)


def test_a_few_tokens_say_nothing() -> None:
    own, wrong = snapshots()
    assert corrected(wrong, own.select(READ[: LEAST - 1])) is wrong


def test_when_everything_was_read_nothing_is_left_to_correct() -> None:
    own, wrong = snapshots()
    assert corrected(wrong, own.select(np.arange(1, TOKENS))) is wrong


def test_what_a_layer_lacks_is_not_invented() -> None:
    own, wrong = snapshots()
    lacking = replace(wrong.frame, starts=(0, 40, 0))
    keys, values = wrong.keys.copy(), wrong.values.copy()
    keys[1, :40] = values[1, :40] = 0
    better = corrected(KVSnapshot(lacking, keys, values), own.select(np.arange(20, 48, 2)))
    assert not better.keys[1, :40].any()
    np.testing.assert_array_equal(better.values[:, :40], values[:, :40])


@pytest.mark.parametrize("tokens", [READ, OTHERS])
def test_what_was_read_need_not_be_in_the_memory(tokens: np.ndarray) -> None:
    own, wrong = snapshots()
    held = wrong.select(np.setdiff1d(np.arange(TOKENS), tokens))
    assert corrected(held, own.select(tokens)) is held
