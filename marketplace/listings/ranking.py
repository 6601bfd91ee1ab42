"""Order versions between KV-caches: lower ends of retention on the same cells of their evaluation suites.

Compared are the cells at one context length, register by register: the length that covers the request, the shortest
where it states none. Figures of two suites are of different texts and are never compared: the suite with more
registers comes first. Within a suite, whoever lacks a cell that another version has loses to it. Among those with as
many cells the worst lower end decides, then the mean of the lower ends. Versions that were measured on no suite come
last.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from latentmas.protocol.expected import covering
from latentmas.protocol.quality import Quality
from marketplace.listings.certificates import quality_of, scope_of_row
from marketplace.listings.models import ListingVersion

LAST = "~"  # after every digest
LowerEnds = Mapping[str, float]  # by register, of the cells that were measured and count


def ranked(rows: Sequence[ListingVersion], *, tokens: int | None) -> list[ListingVersion]:
    """Return the rows, best first, for a context of so many tokens; equal ones keep their order."""
    qualities = [quality_of(row) for row in rows]
    length = covering({length for each in qualities if each.suite for length in each.suite.lengths}, tokens)
    ends = [_lower_ends(each, length) for each in qualities]
    widest = Counter[str | None]()  # registers that any version of a suite was measured on
    for quality, each in zip(qualities, ends, strict=True):
        widest[_suite(quality)] = max(widest[_suite(quality)], len(each or ()))

    def place(index: int) -> tuple[int, str, int, float, float]:
        suite = _suite(qualities[index])
        return (-widest[suite], suite or LAST, *_place(ends[index]))

    return [rows[index] for index in sorted(range(len(rows)), key=place)]


def tier_for_context(row: ListingVersion, tier: str | None, *, tokens: int | None) -> str | None:
    """Return what a valid certificate of `tier` is for contexts of so many tokens: None beyond its scope."""
    scope = scope_of_row(row)
    if tier is None or tokens is None or scope is None:
        return tier
    covered = scope.covering(tokens)
    return None if covered is None else covered.tier.value


def _lower_ends(quality: Quality, length: int | None) -> LowerEnds | None:
    """Return the lower ends at a length, or None without a suite."""
    if quality.suite is None:
        return None
    cells = () if length is None else quality.suite.at(length)
    return {cell.register: cell.aligned.low for cell in cells if cell.aligned is not None}


def _suite(quality: Quality) -> str | None:
    return None if quality.suite is None else quality.suite.digest


def _place(ends: LowerEnds | None) -> tuple[int, float, float]:
    """Return what rows of one suite are sorted by: the smallest comes first."""
    lows = list((ends or {}).values())
    if not lows:
        return 0, 0.0, 0.0
    return -len(lows), -min(lows), -sum(lows) / len(lows)
