"""Statements of wallets as CSV, for the REST interface and the pages."""

from collections.abc import Iterator

from django.http import StreamingHttpResponse

from latentmas.csv_text import CONTENT_TYPE, csv_lines
from marketplace.ledger.accounts import currency_of
from marketplace.ledger.statements import Period, statement_lines

LINE_COLUMNS = ("at", "purpose", "counterparty", "stream", "amount", "balance")


def csv_statement(account: str, period: Period) -> StreamingHttpResponse:
    """Return the answer that streams all lines of a wallet's statement as a file."""
    response = StreamingHttpResponse(csv_lines(_rows(account, period)), content_type=CONTENT_TYPE)
    response["Content-Disposition"] = f'attachment; filename="statement-{currency_of(account)}.csv"'
    return response


def _rows(account: str, period: Period) -> Iterator[tuple[object, ...]]:
    """Yield the columns' names, the opening balance, every line and the closing balance."""
    currency = currency_of(account)
    opening, lines = statement_lines(account, period)
    yield (*LINE_COLUMNS, "currency")
    yield ("", "opening balance", "", "", "", opening, currency)
    closing = opening
    for line in lines:
        closing = line.balance
        yield (line.at.isoformat(), line.purpose, line.counterparty, line.stream, line.amount, line.balance, currency)
    yield ("", "closing balance", "", "", "", closing, currency)
