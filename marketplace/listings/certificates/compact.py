"""A quality as an event holds it: an evaluation suite's figures to four digits, since an event has at most 32 KiB."""

from dataclasses import fields, replace

from latentmas.protocol.quality import Cell, Interval, Quality

DIGITS = 4  # a retention's interval is some hundred times as wide


def compact(quality: Quality) -> Quality:
    """Return the quality with its suite's figures rounded; doing so again changes nothing."""
    if quality.suite is None:
        return quality
    cells = tuple(_rounded(cell) for cell in quality.suite.cells)
    return replace(quality, suite=replace(quality.suite, cells=cells))


def _rounded(cell: Cell) -> Cell:
    figures = {field.name: getattr(cell, field.name) for field in fields(cell)}
    rounded = {name: _short(each) for name, each in figures.items() if isinstance(each, Interval)}
    return replace(cell, **rounded)  # type: ignore[arg-type]  # the fields that hold intervals


def _short(interval: Interval) -> Interval:
    return Interval(*(round(each, DIGITS) for each in (interval.value, interval.low, interval.high)))
