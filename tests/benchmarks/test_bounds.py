"""Figures about the KL bound are counted from what was measured, and the texts that chose nothing are there."""

import pytest

pytest.importorskip("torch")
from benchmarks.compression.bounds import Bounded, WindowFigures, bound_rows, margin_row
from benchmarks.compression.documents import CHOOSING, LEAST_BYTES, SHIFTED, UNSEEN, documents
from kvcache.coding import rate

HELD = WindowFigures((0.5, 0.7, 0.6), (Bounded(0.01, None, None), Bounded(0.04, 0.02, 20.0), Bounded(0.1, 0.05, 40.0)))
MISSED = WindowFigures(
    (rate.CAUTION + 1, 1.0, 1.0), (Bounded(0.01, None, None), Bounded(0.04, 0.06, 20.0), Bounded(0.1, 0.1, 40.0))
)


def test_a_window_counts_by_the_larger_of_its_margins() -> None:
    row = margin_row("text", [HELD, MISSED])
    assert (row["windows"], row["most"]) == (2, rate.CAUTION + 1)
    assert row[f"windows above {rate.CAUTION:g}"] == 1


def test_refused_and_exceeded_bounds_are_counted() -> None:
    first, second, third = bound_rows("text", [HELD, MISSED])
    assert (first["refused"], first["exceeded"], first["KL"]) == (2, 0, None)
    assert (second["exceeded"], second["worst KL over bound"]) == (1, pytest.approx(1.5))
    assert third["exceeded"] == 0


@pytest.mark.parametrize("group", [*CHOOSING, *UNSEEN])
def test_each_group_has_text(group: str) -> None:
    found = documents(group, wanted=2)
    assert found
    assert all(len(each.text.encode()) >= LEAST_BYTES for each in found)


def test_what_chose_the_margin_is_not_among_them() -> None:
    assert not set(UNSEEN) & {*CHOOSING, *SHIFTED}
