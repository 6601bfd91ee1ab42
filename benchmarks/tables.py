"""Plain tables for a terminal and a log."""

from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, object]]


def print_table(title: str, rows: Rows) -> None:
    """Print rows under the names of the first one's fields."""
    print(f"\n{title}")
    if not rows:
        print("  (nothing)")
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_text(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    for line in cells:
        first, *rest = (
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  " + "  ".join([first, *rest]), flush=True)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):  # a figure and the ends of its interval
        figure, *ends = (_text(each) for each in value)
        return f"{figure} [{', '.join(ends)}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def rounded(figures: Any) -> Any:
    """Return the figures with floats at four significant digits."""
    match figures:
        case dict():
            return {name: rounded(value) for name, value in figures.items()}
        case list():
            return [rounded(value) for value in figures]
        case float():
            return float(f"{figures:.4g}")
    return figures
