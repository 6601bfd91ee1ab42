"""A wallet's balance over time as a line of steps, drawn on the server; the statement gives the same as a table."""

from collections.abc import Sequence
from datetime import datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from marketplace.ledger.statements import Line, Statement
from marketplace.web.charts import WIDTH, Scale, px, scale
from marketplace.web.money_text import amount_text

HEIGHT = 220
LEFT, RIGHT, TOP, BOTTOM = 84, 16, 14, 34
MOST_TICKS = 5


def balance_chart(statement: Statement, currency: str, *, until: datetime) -> SafeString:
    """Draw the balance from the statement's first line, of which it has at least one, until a time."""
    lines = statement.lines
    balances = [statement.opening, *(line.balance for line in lines)]
    ticks = _ticks(min(0, *balances), max(0, *balances))
    x = scale(0, max(1.0, (until - lines[0].at).total_seconds()), LEFT, WIDTH - RIGHT)
    y = scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    return format_html(
        '<svg class="chart balance" viewBox="0 0 {} {}" role="img" aria-labelledby="balance-t balance-d">'
        '<title id="balance-t">Balance over time</title><desc id="balance-d">{}</desc>{}'
        '<g class="line attention"><polyline points="{}"/></g></svg>',
        WIDTH,
        HEIGHT,
        _sentence(balances, lines, currency),
        _axes(ticks, y, lines[0].at, until),
        " ".join(_steps(statement, x, y, until)),
    )


def _steps(statement: Statement, x: Scale, y: Scale, until: datetime) -> list[str]:
    """Return the corners: level until a line, then up or down to its balance."""
    start, level = statement.lines[0].at, y(statement.opening)
    corners = [f"{px(x(0))},{px(level)}"]
    for line in statement.lines:
        place = px(x((line.at - start).total_seconds()))
        corners.append(f"{place},{px(level)}")
        level = y(line.balance)
        corners.append(f"{place},{px(level)}")
    return [*corners, f"{px(x((until - start).total_seconds()))},{px(level)}"]


def _axes(ticks: Sequence[int], y: Scale, since: datetime, until: datetime) -> SafeString:
    across = (
        (" zero" if tick == 0 else "", LEFT, px(y(tick)), WIDTH - RIGHT, LEFT - 10, amount_text(tick)) for tick in ticks
    )
    return format_html(
        '<g class="axis">{}<text x="{}" y="{}">{}</text><text x="{}" y="{}" text-anchor="end">{}</text></g>',
        format_html_join(
            "",
            '<path class="grid{0}" d="M{1} {2}H{3}"/><text x="{4}" y="{2}" dy=".35em" text-anchor="end">{5}</text>',
            across,
        ),
        LEFT,
        HEIGHT - BOTTOM + 22,
        f"{since:%Y-%m-%d %H:%M}",
        WIDTH - RIGHT,
        HEIGHT - BOTTOM + 22,
        f"{until:%Y-%m-%d %H:%M} UTC",
    )


def _ticks(low: int, high: int) -> list[int]:
    """Return round amounts of minor units, at most MOST_TICKS steps, from at or below `low` to at or above `high`."""
    step, factors = 1, (2, 5, 10)
    power = 1
    while (high - low) / step > MOST_TICKS - 1:
        step = next(power * factor for factor in factors if power * factor > step)
        if step == power * 10:
            power = step
    first, last = low // step, -(-high // step)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def _sentence(balances: Sequence[int], lines: Sequence[Line], currency: str) -> str:
    return (
        f"{len(lines)} movements since {lines[0].at:%Y-%m-%d}: from {amount_text(balances[0])} to "
        f"{amount_text(balances[-1])} {currency}, at least {amount_text(min(balances))}, "
        f"at most {amount_text(max(balances))}."
    )
