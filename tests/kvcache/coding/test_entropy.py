"""The entropy coder is exact, near the entropy, and turns damaged code into an error."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kvcache.coding import entropy
from kvcache.kernels import lloyd_max
from latentmas.protocol.errors import InvalidInput

SKEWED = np.array([1, 40, 900, 40, 1])
FLAT = np.array([5, 5, 5])
DIGEST = "44b3702c92b31f8798e3c7e5e021410c6a8cb1046a1233d17467852a0b384041"  # another one cannot read older files
tables = hnp.arrays(np.int64, st.integers(2, 300), elements=st.integers(1, 1 << 16))


def drawn(table: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(len(table), size=count, p=table / table.sum()).astype(np.uint16)


@given(st.lists(st.tuples(tables, st.integers(0, 400)), min_size=1, max_size=4), st.integers(0, 1000))
@settings(deadline=None)
def test_runs_come_back_as_they_were(runs: list[tuple[np.ndarray, int]], seed: int) -> None:
    coded = [(drawn(table, count, seed), table) for table, count in runs]
    words = entropy.encode_runs(coded)
    decoded = entropy.decode_runs(words, [(count, table) for table, count in runs])
    for (symbols, _), again in zip(coded, decoded, strict=True):
        np.testing.assert_array_equal(again, symbols)


def test_columns_take_the_table_of_their_id() -> None:
    ids = np.array([0, 1, 0, 1, 1])
    symbols = np.stack([drawn([SKEWED, FLAT][number], 70, seed) for seed, number in enumerate(ids)], axis=1)
    words = entropy.encode_columns(symbols, tables=[SKEWED, FLAT], ids=ids)
    np.testing.assert_array_equal(entropy.decode_columns(words, rows=70, tables=[SKEWED, FLAT], ids=ids), symbols)


@pytest.mark.parametrize("table", [SKEWED, FLAT, np.array([1, 10_000]), lloyd_max.frequencies(4)])
def test_code_is_as_long_as_the_entropy(table: np.ndarray) -> None:
    count = 100_000
    share = table / table.sum()
    ideal = -(share * np.log2(share)).sum() * count / 8
    assert entropy.encode_runs([(drawn(table, count), table)]).nbytes < 1.02 * ideal + 16


def test_the_same_symbols_give_these_very_bytes() -> None:
    symbols = np.arange(500) * 7 % 5
    words = entropy.encode_runs([(symbols, SKEWED)])
    assert hashlib.sha256(words.tobytes()).hexdigest() == DIGEST


def test_an_unlikely_symbol_is_dear_but_possible() -> None:
    table = np.array([0, 7, 1])
    symbols = np.array([1, 1, 0, 2])
    words = entropy.encode_runs([(symbols, table)])
    np.testing.assert_array_equal(entropy.decode_runs(words, [(4, table)])[0], symbols)


def test_it_refuses_a_symbol_outside_its_table() -> None:
    with pytest.raises(InvalidInput, match="symbols 3 to 3 do not fit a table of 3"):
        entropy.encode_runs([(np.array([3]), FLAT)])


@pytest.mark.parametrize("table", [[1], [0, 0], [3, 0], [-1, 4], [[1, 2]], [0.5, 0.5], [1 << 31, 1 << 31]])
def test_it_refuses_what_is_no_table_of_frequencies(table: list) -> None:
    with pytest.raises(InvalidInput, match="frequencies"):
        entropy.decode_runs(np.zeros(1, np.int32), [(1, np.array(table))])


def test_it_refuses_ids_without_a_table() -> None:
    with pytest.raises(InvalidInput, match="one of the 1 tables"):
        entropy.encode_columns(np.zeros((2, 1), int), tables=[FLAT], ids=np.array([1]))


def test_it_refuses_more_symbols_than_the_code_can_hold_before_it_allocates_them() -> None:
    with pytest.raises(InvalidInput, match="cannot hold"):
        entropy.decode_runs(np.zeros(4, np.int32), [(1 << 50, FLAT)])


def test_it_refuses_code_with_words_to_spare() -> None:
    words = entropy.encode_runs([(drawn(FLAT, 100), FLAT)])
    with pytest.raises(InvalidInput, match="longer than its symbols"):
        entropy.decode_runs(np.concatenate([words, np.array([5, 6], np.int32)]), [(100, FLAT)])


@given(hnp.arrays(np.int32, st.integers(0, 40), elements=st.integers(-(1 << 31), (1 << 31) - 1)), st.integers(0, 500))
@settings(deadline=None, max_examples=300)
def test_any_words_decode_or_are_refused(words: np.ndarray, count: int) -> None:
    try:
        (decoded,) = entropy.decode_runs(words, [(count, SKEWED)])
    except InvalidInput:
        return
    assert decoded.shape == (count,)
    assert count == 0 or decoded.max() < len(SKEWED)
