"""The drawing of a balance over time."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from marketplace.ledger.statements import Line, Statement
from marketplace.web.balance_chart import balance_chart

START = datetime(2026, 3, 1, tzinfo=UTC)


def statement(*amounts, opening=0):
    """A statement with one line an hour."""
    lines, balance = [], opening
    for hour, amount in enumerate(amounts):
        balance += amount
        lines.append(Line(START + timedelta(hours=hour), "capture", "hold", "sale/s", amount, balance))
    return Statement(opening, lines, balance, None)


def corners(svg):
    return [tuple(map(float, each.split(","))) for each in re.search(r'points="([^"]+)"', svg)[1].split()]


def test_a_balance_is_drawn_level_between_its_movements():
    places = corners(balance_chart(statement(1000, -400), "USD", until=START + timedelta(hours=2)))
    (x0, empty), (x1, _), (x2, full), (x3, level), (x4, rest), (x5, last) = places
    assert x0 == x1 == x2
    assert x3 == x4 < x5
    assert full == level
    assert rest == last
    assert full < rest < empty  # further up is more


def test_a_balance_below_zero_is_drawn_below_the_line_of_zero():
    svg = balance_chart(statement(500, -1200), "USD", until=START + timedelta(hours=3))
    zero = float(re.search(r'class="grid zero" d="M\d+ ([\d.]+)', svg)[1])
    assert corners(svg)[-1][1] > zero
    assert "at least \N{MINUS SIGN}7.00, at most 5.00" in svg


@pytest.mark.parametrize("amount", [1, 3, 99, 12_345, 10**12])
def test_a_balance_of_any_size_has_a_few_round_marks(amount):
    svg = balance_chart(statement(amount), "USD", until=START)
    assert 2 <= svg.count('class="grid') <= 7
    assert all(14 <= y <= 186 for _, y in corners(svg))
