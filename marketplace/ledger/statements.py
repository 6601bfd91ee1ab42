"""Statements of wallets: every transfer that touched one, in order, with the balance after each. Reads only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from latentmas.rest.cursors import page_of
from marketplace.ledger.accounts import kind_of
from marketplace.ledger.balances import moved_by
from marketplace.ledger.models import LedgerTransfer

ORDER = ("at", "id")
NEWEST = ("-at", "-id")
ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` on, and before `until`; None is no such bound."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One transfer as its wallet sees it: below zero it went to the counterparty, whose kind alone is said."""

    at: datetime
    purpose: str
    counterparty: str
    stream: str
    amount: int
    balance: int


@dataclass(frozen=True, slots=True)
class Statement:
    """Some lines in a row, the oldest first; `closing` is `opening` and all their amounts."""

    opening: int
    lines: Sequence[Line]
    closing: int
    next_cursor: str | None


def statement_page(wallet: str, period: Period, *, limit: int, cursor: str | None = None) -> Statement:
    """Return at most `limit` lines of a wallet's statement after the cursor. Raises InvalidInput for a wrong cursor."""
    page = page_of(_transfers(wallet, period), order=ORDER, limit=limit, cursor=cursor)
    return _statement(wallet, period, page.rows, page.next_cursor)


def newest_page(wallet: str, *, limit: int, cursor: str | None = None) -> Statement:
    """Return the last `limit` lines of a wallet's statement, or those before the cursor, whose next page is older.

    Raises InvalidInput for a wrong cursor.
    """
    always = Period()
    page = page_of(_transfers(wallet, always), order=NEWEST, limit=limit, cursor=cursor)
    return _statement(wallet, always, page.rows[::-1], page.next_cursor)


def statement_lines(wallet: str, period: Period) -> tuple[int, Iterator[Line]]:
    """Return the balance before a period, and all of its lines, which are read as they are asked for."""
    rows = _transfers(wallet, period).order_by(*ORDER)
    opening = _balance_before(wallet, period, rows.first())
    return opening, _lines(wallet, rows.iterator(chunk_size=ROWS_AT_ONCE), opening)


def _statement(wallet: str, period: Period, rows: Sequence[LedgerTransfer], next_cursor: str | None) -> Statement:
    opening = _balance_before(wallet, period, rows[0] if rows else None)
    lines = list(_lines(wallet, rows, opening))
    return Statement(opening, lines, lines[-1].balance if lines else opening, next_cursor)


def _transfers(wallet: str, period: Period) -> QuerySet[LedgerTransfer]:
    rows = LedgerTransfer.objects.filter(Q(debit=wallet) | Q(credit=wallet))
    if period.since is not None:
        rows = rows.filter(at__gte=period.since)
    return rows if period.until is None else rows.filter(at__lt=period.until)


def _balance_before(wallet: str, period: Period, first: LedgerTransfer | None) -> int:
    """Return what the wallet held before a transfer; without one, at the end of the period."""
    earlier = LedgerTransfer.objects.all()
    if first is not None:
        earlier = earlier.filter(Q(at__lt=first.at) | Q(at=first.at, id__lt=first.id))
    elif period.until is not None:
        earlier = earlier.filter(at__lt=period.until)
    return moved_by(earlier, wallet)


def _lines(wallet: str, rows: "Sequence[LedgerTransfer] | Iterator[LedgerTransfer]", balance: int) -> Iterator[Line]:
    for row in rows:
        came = row.credit == wallet
        amount = row.amount if came else -row.amount
        balance += amount
        yield Line(row.at, row.purpose, kind_of(row.debit if came else row.credit), row.stream, amount, balance)
