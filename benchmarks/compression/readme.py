"""The README's table of compression as Markdown, from the figures of the parts `ratio` and `kvpress`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]
# What the README calls an arm, by the arm's name.
ARMS = {
    "transform 20x": "**transform code**",
    "transform 38x": "the same, coarser",
    "transform 52x": "the same, coarser still",
    "KVTC 16x, 4 tokens exact": "KVTC's recipe, written again, the first 4 tokens exact",
    "KVTC 32x, 4 tokens exact": "the same, coarser",
    "KVTC 16x, 4 + 128 tokens exact": "the same as published: the last 128 tokens exact too",
    "quantise 4+3 bit": "**quantiser**, no profile",
    "select 25 %": "attention-threshold selection, a quarter of the tokens",
    "select 5 %": "the same, 5 %",
    "KIVI 2 bit": "KIVI 2 bit, written again",
    "CacheGen": "CacheGen's scheme, written again",
}
PRESSES = ("SnapKV", "KVzip")


def print_readme(arms: Rows, presses: Rows) -> None:
    """Print the rows of the README's table, where one of them was measured."""
    if lines := list(_lines(arms, presses)):
        print("\nRows of the README's table\n")
        print("\n".join(lines), flush=True)


def _lines(arms: Rows, presses: Rows) -> Iterator[str]:
    by_name = {row["arm"]: row for row in arms}
    for name, label in ARMS.items():
        if "KL" in (row := by_name.get(name, {})):
            yield _line(label, row["ratio"], row["KL"], row["top-1"])
    for row in presses:
        if row["press"] in PRESSES and "KL" in row:
            label = f"{row['press']} (kvpress), {100 * row['budget']:g} % of the entries at float16"
            yield _line(label, row["ratio"], row["KL"], row["top-1"])


def _line(label: str, ratio: float, kl: Sequence[float], top1: Sequence[float]) -> str:
    return f"| {label} | {ratio:.1f}x | {_shown(kl, 4)} | {_shown(top1, 3)} |"


def _shown(figures: Sequence[float], digits: int) -> str:
    value, low, high = (f"{each:.{digits}f}".removeprefix("0") for each in figures)
    return f"{value} [{low}, {high}]"
