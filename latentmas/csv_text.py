"""CSV for people who open it in a spreadsheet, line by line, so that a file of any length can be streamed."""

import csv
from collections.abc import Iterable, Iterator, Sequence

CONTENT_TYPE = "text/csv; charset=utf-8"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet takes a cell for a formula


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield a line for each row; text that a spreadsheet would carry out begins with an apostrophe."""
    writer = csv.writer(_Line())
    for row in rows:
        yield writer.writerow([_inert(value) for value in row])


def _inert(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
