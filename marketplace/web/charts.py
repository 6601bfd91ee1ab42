"""Charts drawn on the server as SVG: pure functions from figures to markup, coloured by the page's style sheet.

Each has a title and a description for readers who do not see it; the pages give the same figures as a table.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from latentmas.protocol.quality import Interval

Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Arm:
    """One row of the retention chart. `kind` is its style: own, text or control."""

    label: str
    interval: Interval
    kind: str


@dataclass(frozen=True, slots=True)
class Series:
    """One line of the layer chart: a value for each layer, None where it was not measured."""

    label: str
    values: Sequence[float | None]
    kind: str


WIDTH = 720
LABELS = 176  # pixels kept for the labels at the left
ROW = 34
TOP, BOTTOM, RIGHT = 28, 30, 74
# A harmful arm may go far below; its bar is cut there and its figure stays in the text.
LOWEST_SHOWN, HIGHEST_SHOWN = -1.0, 2.0


def retention_chart(arms: Sequence[Arm]) -> SafeString:
    """Draw each arm as a bar from zero with its 95 % interval; 0 is no memory, 1 the target's own."""
    low = max(LOWEST_SHOWN, min(0.0, *(_tenth_below(arm.interval.low) for arm in arms)))
    high = min(HIGHEST_SHOWN, max(1.0, *(_tenth_above(arm.interval.high) for arm in arms)))
    x = scale(low, high, LABELS, WIDTH - RIGHT)
    height = TOP + ROW * len(arms) + BOTTOM
    rows = format_html_join("", "{}", ((_bar(arm, index, x, (low, high)),) for index, arm in enumerate(arms)))
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="retention-t retention-d">'
        '<title id="retention-t">Retention beside its controls and text baselines</title>'
        '<desc id="retention-d">{}</desc>{}{}</svg>',
        WIDTH,
        height,
        _sentence(arms),
        _grid(_ticks(low, high), x, TOP - 8, height - BOTTOM),
        rows,
    )


def _bar(arm: Arm, index: int, x: Scale, shown: tuple[float, float]) -> SafeString:
    middle = TOP + ROW * index + ROW / 2
    value, *ends = (x(min(shown[1], max(shown[0], each))) for each in _numbers(arm.interval))
    left, right = sorted((x(0), value))
    return format_html(
        '<g class="arm {kind}"><text x="{label_x}" y="{y}" dy=".35em" text-anchor="end">{label}</text>'
        '<rect class="bar" x="{left}" y="{bar_y}" width="{width}" height="16" rx="2"/>'
        '<path class="whisker" d="M{a} {y}H{b}M{a} {w0}v10M{b} {w0}v10"/>'
        '<text class="value" x="{value_x}" y="{y}" dy=".35em">{value}</text></g>',
        kind=arm.kind,
        label=arm.label,
        label_x=LABELS - 12,
        y=px(middle),
        left=px(left),
        bar_y=px(middle - 8),
        width=px(max(1.0, right - left)),
        a=px(ends[0]),
        b=px(ends[1]),
        w0=px(middle - 5),
        value_x=px(WIDTH - RIGHT + 12),
        value=f"{arm.interval.value:.3f}".replace("-", "\N{MINUS SIGN}"),
    )


def _numbers(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high


PLOT_HEIGHT = 250
PLOT_LEFT, PLOT_RIGHT, PLOT_TOP, PLOT_BOTTOM = 46, 166, 14, 42


def layer_chart(series: Sequence[Series]) -> SafeString:
    """Draw one line for each series over the target's layers, labelled at its end."""
    shown = [each for each in series if any(value is not None for value in each.values)]
    values = [value for each in shown for value in each.values if value is not None]
    layers = max(len(each.values) for each in shown)
    low, high = min(0.0, *map(_tenth_below, values)) if min(values) < 0 else _floor_of(values), 1.0
    x = scale(0, max(1, layers - 1), PLOT_LEFT, WIDTH - PLOT_RIGHT)
    y = scale(low, high, PLOT_HEIGHT - PLOT_BOTTOM, PLOT_TOP)
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="layers-t layers-d">'
        '<title id="layers-t">Fidelity of each target layer</title><desc id="layers-d">{}</desc>{}{}{}</svg>',
        WIDTH,
        PLOT_HEIGHT,
        _layers_sentence(shown),
        _layer_axes(_ticks(low, high), layers, x, y),
        format_html_join("", "{}", ((_line(each, x, y),) for each in shown)),
        _end_labels(shown, y),
    )


def _line(series: Series, x: Scale, y: Scale) -> SafeString:
    places = [(x(index), y(value)) for index, value in enumerate(series.values) if value is not None]
    return format_html(
        '<g class="line {}"><polyline points="{}"/>{}</g>',
        series.kind,
        " ".join(f"{px(left)},{px(top)}" for left, top in places),
        format_html_join("", '<circle cx="{}" cy="{}" r="2.2"/>', ((px(left), px(top)) for left, top in places)),
    )


def _end_labels(shown: Sequence[Series], y: Scale) -> SafeString:
    """Label each line at its last value, moved apart where two labels would overlap."""
    last = [(next(value for value in reversed(each.values) if value is not None), each) for each in shown]
    placed: list[tuple[Series, float]] = []
    for value, each in sorted(last, key=lambda pair: -pair[0]):
        wanted = y(value)
        placed.append((each, max(wanted, placed[-1][1] + 17) if placed else wanted))
    return format_html_join(
        "",
        '<text class="end {}" x="{}" y="{}" dy=".35em">{}</text>',
        ((each.kind, WIDTH - PLOT_RIGHT + 12, px(place), each.label) for each, place in placed),
    )


def _layer_axes(ticks: Sequence[float], layers: int, x: Scale, y: Scale) -> SafeString:
    step = max(1, ceil(layers / 12))
    bottom = PLOT_HEIGHT - PLOT_BOTTOM
    across = ((PLOT_LEFT, px(y(tick)), WIDTH - PLOT_RIGHT, PLOT_LEFT - 10, f"{tick:.1f}") for tick in ticks)
    below = ((px(x(layer)), bottom + 18, layer) for layer in range(0, layers, step))
    return format_html(
        '<g class="axis">{}{}<text x="{}" y="{}" text-anchor="middle">target layer</text></g>',
        format_html_join(
            "",
            '<path class="grid" d="M{0} {1}H{2}"/><text x="{3}" y="{1}" dy=".35em" text-anchor="end">{4}</text>',
            across,
        ),
        format_html_join("", '<text x="{}" y="{}" text-anchor="middle">{}</text>', below),
        px((PLOT_LEFT + WIDTH - PLOT_RIGHT) / 2),
        bottom + 35,
    )


MINI_WIDTH, MINI_HEIGHT = 120, 14


def interval_bar(interval: Interval) -> SafeString:
    """Draw one retention from 0 to 1 with its interval, for a table cell; the figure stands beside it as text."""
    x = scale(0, 1, 0, MINI_WIDTH)
    value, low, high = (x(min(1.0, max(0.0, each))) for each in _numbers(interval))
    return format_html(
        '<svg class="mini" viewBox="0 0 {w} {h}" aria-hidden="true"><rect class="track" width="{w}" height="4" y="5" '
        'rx="2"/><rect class="span" x="{low}" y="3" width="{span}" height="8" rx="2"/>'
        '<rect class="mark" x="{mark}" y="1" width="2.5" height="12"/></svg>',
        w=MINI_WIDTH,
        h=MINI_HEIGHT,
        low=px(low),
        span=px(max(1.0, high - low)),
        mark=px(min(MINI_WIDTH - 2.5, max(0.0, value - 1.25))),
    )


def _grid(ticks: Iterable[float], x: Scale, top: float, bottom: float) -> SafeString:
    return format_html_join(
        "",
        '<path class="grid{}" d="M{} {}V{}"/><text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>',
        (
            (
                " zero" if abs(tick) < 1e-9 else " one" if abs(tick - 1) < 1e-9 else "",
                *(px(x(tick)), px(top), px(bottom)),
                *(px(x(tick)), px(bottom + 18)),
                f"{tick:.1f}".replace("-", "\N{MINUS SIGN}"),
            )
            for tick in ticks
        ),
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return round marks, at most nine of them, that include zero where it lies between the ends."""
    step = next(step for step in (0.1, 0.2, 0.5) if (high - low) / step <= 8)
    return [index * step for index in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def scale(low: float, high: float, start: float, end: float) -> Scale:
    """Return the linear map from one range onto another."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _floor_of(values: Sequence[float]) -> float:
    return min(0.9, max(0.0, _tenth_below(min(values))))


def _tenth_below(value: float) -> float:
    return floor(value * 10) / 10


def _tenth_above(value: float) -> float:
    return ceil(value * 10) / 10


def px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _sentence(arms: Iterable[Arm]) -> str:
    parts = (
        f"{arm.label}: {arm.interval.value:.3f} ({arm.interval.low:.3f} to {arm.interval.high:.3f})" for arm in arms
    )
    return "; ".join(parts) + "."


def _layers_sentence(shown: Iterable[Series]) -> str:
    parts = []
    for each in shown:
        values = [value for value in each.values if value is not None]
        parts.append(f"{each.label}: {min(values):.2f} to {max(values):.2f}")
    return "; ".join(parts) + f" over {len(each.values)} layers."
