"""The cells of an evaluation suite as a picture, registers down and context lengths across, and as rows of a table.

A cell is as dark as its retention is high. Text that models sampled stands apart: it counts in no mean and certificate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from latentmas.protocol.certification import failures_of
from latentmas.protocol.quality import Cell, Interval, SuiteFigures
from marketplace.web.charts import WIDTH, px

LABELS = 132  # pixels kept for the registers' names at the left
ROW, HEAD, GAP, INSET = 62, 30, 34, 3
FAINTEST, DARKEST = 0.06, 0.5  # opacity of retention 0 and 1: text on it stays readable
DASH, MINUS, CROSS = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{MULTIPLICATION X}"
SAMPLED_NOTE = "sampled by the models: counts in no mean and in no certificate"


COLUMNS = (  # of the table, each with the figure of a cell
    ("Retention", "aligned"),
    ("Register left out", "left_out"),
    ("Tokens unknown", "source_tokens"),
    ("Last tokens read", "reread"),
    ("... after nothing", "reread_nothing"),
    ("... after a stranger's memory", "reread_stranger"),
    ("An eighth read in place", "in_place"),
    ("Own tokens, a stranger's memory", "own_tokens"),
    ("Tokens alone", "tokens_only"),
    ("... what the memory adds", "beyond_tokens"),
    ("Wrong document", "wrong_document"),
    ("Random W", "random_w"),
    ("Last eighth as text", "text_eighth"),
)


@dataclass(frozen=True, slots=True)
class TableRow:
    """One cell with every figure, in the order of COLUMNS, and whether it passes."""

    cell: Cell
    figures: tuple[Interval | None, ...]
    verdict: str


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One register: for each length its cell (None: the suite has none there)."""

    register: str
    counts: bool
    cells: tuple[Cell | None, ...]


def rows_of(suite: SuiteFigures) -> list[HeatRow]:
    """Return the registers as rows over the suite's lengths, in the suite's order, sampled text last."""
    names = dict.fromkeys(cell.register for cell in suite.cells)
    cells = {(cell.register, cell.length): cell for cell in suite.cells}
    counted = {cell.register for cell in suite.cells if cell.counts}
    rows = [HeatRow(name, name in counted, tuple(cells.get((name, each)) for each in suite.lengths)) for name in names]
    return sorted(rows, key=lambda row: not row.counts)


def table_of(suite: SuiteFigures) -> list[TableRow]:
    """Return every cell with its figures, in the order of the picture."""
    cells = [cell for row in rows_of(suite) for cell in row.cells if cell is not None]
    return [TableRow(cell, tuple(getattr(cell, name) for _, name in COLUMNS), _verdict(cell)) for cell in cells]


def _verdict(cell: Cell) -> str:
    if cell.aligned is None:
        return "not measured"
    if not cell.counts:
        return "counts in no mean"
    return "fails" if failures_of(cell) else "passes"


def heat_table(suite: SuiteFigures) -> SafeString:
    """Draw every cell's retention with its interval, its number of documents and the figure without its register."""
    rows = rows_of(suite)
    tops = _tops(rows)
    height = tops[-1] + ROW if rows else HEAD
    width = (WIDTH - LABELS) / max(1, len(suite.lengths))
    return format_html(
        '<svg class="chart heat" viewBox="0 0 {} {}" role="img" aria-labelledby="heat-t heat-d">'
        '<title id="heat-t">Retention by register and context length on {}</title>'
        '<desc id="heat-d">{}</desc>{}{}{}</svg>',
        WIDTH,
        px(height),
        suite.name,
        _sentence(rows),
        _heads(suite.lengths, width),
        _note(rows, tops),
        format_html_join("", "{}", ((_row(row, top, width),) for row, top in zip(rows, tops, strict=True))),
    )


def _tops(rows: Sequence[HeatRow]) -> list[float]:
    """Return where each row begins; sampled text is set apart."""
    return [HEAD + ROW * index + (0 if row.counts else GAP) for index, row in enumerate(rows)]


def _heads(lengths: Sequence[int], width: float) -> SafeString:
    return format_html_join(
        "",
        '<text class="tick" x="{}" y="{}" text-anchor="middle">{} tokens</text>',
        ((px(LABELS + width * (index + 0.5)), HEAD - 10, _thousands(length)) for index, length in enumerate(lengths)),
    )


def _note(rows: Sequence[HeatRow], tops: Sequence[float]) -> SafeString | str:
    for row, top in zip(rows, tops, strict=True):
        if not row.counts:
            return format_html('<text class="tick" x="{}" y="{}">{}</text>', LABELS + INSET, px(top - 9), SAMPLED_NOTE)
    return ""


def _row(row: HeatRow, top: float, width: float) -> SafeString:
    return format_html(
        '<g class="{}"><text x="{}" y="{}" dy=".35em" text-anchor="end">{}</text>{}</g>',
        "register" if row.counts else "register sampled",
        LABELS - 12,
        px(top + ROW / 2),
        row.register,
        format_html_join(
            "", "{}", ((_cell(cell, LABELS + width * index, top, width),) for index, cell in enumerate(row.cells))
        ),
    )


def _cell(cell: Cell | None, left: float, top: float, width: float) -> SafeString:
    if cell is None or cell.aligned is None:
        return format_html(
            '<g class="cell null">{}<text x="{}" y="{}" dy=".35em" text-anchor="middle">{}</text></g>',
            _box(left, top, width, 0.0),
            px(left + width / 2),
            px(top + ROW / 2),
            DASH,
        )
    fails = bool(failures_of(cell))
    shade = FAINTEST + (DARKEST - FAINTEST) * min(1.0, max(0.0, cell.aligned.value))
    return format_html(
        '<g class="{}">{}<text class="figure" x="{x}" y="{}" text-anchor="middle">{}{}</text>'
        '<text class="tick" x="{x}" y="{}" text-anchor="middle">{}</text>'
        '<text class="tick" x="{x}" y="{}" text-anchor="middle">{}</text></g>',
        "cell fail" if fails else "cell",
        _box(left, top, width, shade),
        px(top + 21),
        _short(cell.aligned.value),
        f" {CROSS} fails" if fails else "",
        px(top + 37),
        f"{_ends(cell.aligned)}, n {cell.documents}",
        px(top + 52),
        f"left out {DASH if cell.left_out is None else _short(cell.left_out.value)}",
        x=px(left + width / 2),
    )


def _box(left: float, top: float, width: float, shade: float) -> SafeString:
    return format_html(
        '<rect x="{}" y="{}" width="{}" height="{}" rx="4" fill-opacity="{}"/>',
        px(left + INSET),
        px(top + INSET),
        px(width - 2 * INSET),
        ROW - 2 * INSET,
        f"{shade:.2f}",
    )


def _sentence(rows: Sequence[HeatRow]) -> str:
    parts = [_said(row, cell) for row in rows for cell in row.cells if cell is not None]
    return f"{'; '.join(parts)}."


def _said(row: HeatRow, cell: Cell) -> str:
    where = f"{row.register} at {_thousands(cell.length)} tokens"
    if not row.counts:
        where += " (counts in no mean)"
    if cell.aligned is None:
        return f"{where}: not measured"
    figure = cell.aligned
    beside = "" if cell.left_out is None else f", {cell.left_out.value:.2f} fitted without it"
    fails = ", fails" if failures_of(cell) else ""
    return f"{where}: {figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f}){beside}{fails}"


def _ends(interval: Interval) -> str:
    return f"[{_short(interval.low)}, {_short(interval.high)}]"


def _short(value: float) -> str:
    """Return two digits without a leading zero, as in a table: .71."""
    sign = MINUS if value < 0 else ""
    return sign + f"{abs(value):.2f}".removeprefix("0")


def _thousands(count: int) -> str:
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
