"""Order versions between KV-caches: lower ends of retention on the same cells of their evaluation suites.

Compared are the cells at one context length, register by register: the length that covers the request, the shortest
where it states none. Figures of two suites are of different texts and are never compared: the suite with more
registers comes first. Within a suite, whoever lacks a cell that another version has loses to it. Among those with as
many cells the worst lower end decides, then the mean of the lower ends. Versions that were measured on no suite come
last.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from django.db.models.fields.json import KT

from latentmas.protocol.expected import covering
from latentmas.protocol.quality import SuiteFigures
from marketplace.listings.certificates.standing import scope_of_row
from marketplace.listings.models import ListingVersion

LAST = "~"  # after every digest
Suites = Mapping[str, SuiteFigures | None]  # by the key of a version
LowerEnds = Mapping[str, float]  # by register, of the cells that were measured and count


def suites_of(rows: Sequence[ListingVersion]) -> Suites:
    """Return the versions' figures of evaluation suites; one query, which reads no other figure."""
    found = ListingVersion.objects.filter(id__in=[row.id for row in rows])
    texts = found.annotate(suite=KT("quality__suite")).values_list("id", "suite")
    # Where none was measured it is null: PostgreSQL returns that as no text.
    return {key: msgspec.json.decode(text or "null", type=SuiteFigures | None) for key, text in texts}


def ranked(rows: Sequence[ListingVersion], suites: Suites, *, tokens: int | None) -> list[ListingVersion]:
    """Return the rows, best first, for a context of so many tokens; equal ones keep their order."""
    measured = [suites.get(row.id) for row in rows]
    length = covering({length for each in measured if each for length in each.lengths}, tokens)
    ends = [_lower_ends(each, length) for each in measured]
    widest = Counter[str | None]()  # registers that any version of a suite was measured on
    for suite, each in zip(measured, ends, strict=True):
        widest[_digest(suite)] = max(widest[_digest(suite)], len(each or ()))

    def place(index: int) -> tuple[int, str, int, float, float]:
        digest = _digest(measured[index])
        return (-widest[digest], digest or LAST, *_place(ends[index]))

    return [rows[index] for index in sorted(range(len(rows)), key=place)]


def tier_for_context(row: ListingVersion, tier: str | None, *, tokens: int | None) -> str | None:
    """Return what a valid certificate of `tier` is for contexts of so many tokens: None beyond its scope."""
    scope = scope_of_row(row)
    if tier is None or tokens is None or scope is None:
        return tier
    covered = scope.covering(tokens)
    return None if covered is None else covered.tier.value


def _lower_ends(suite: SuiteFigures | None, length: int | None) -> LowerEnds | None:
    """Return the lower ends at a length, or None without a suite."""
    if suite is None:
        return None
    cells = () if length is None else suite.at(length)
    return {cell.register: cell.aligned.low for cell in cells if cell.aligned is not None}


def _digest(suite: SuiteFigures | None) -> str | None:
    return None if suite is None else suite.digest


def _place(ends: LowerEnds | None) -> tuple[int, float, float]:
    """Return what rows of one suite are sorted by: the smallest comes first."""
    lows = list((ends or {}).values())
    if not lows:
        return 0, 0.0, 0.0
    return -len(lows), -min(lows), -sum(lows) / len(lows)
