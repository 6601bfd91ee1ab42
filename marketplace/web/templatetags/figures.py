"""Template filters and tags that format figures."""

from django import template
from django.utils.safestring import SafeString

from latentmas.protocol.quality import Interval
from marketplace.listings.models import Listing
from marketplace.web.charts import interval_bar
from marketplace.web.items import address_of
from marketplace.web.money_text import MINUS, amount_text

register = template.Library()
UNITS = ("B", "KB", "MB", "GB", "TB")


@register.filter
def size(count: int | None) -> str:
    """Return bytes in decimal units: 41.9 MB."""
    amount = float(count or 0)
    for unit in UNITS[:-1]:
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} {UNITS[-1]}"


@register.filter
def duration(seconds: int) -> str:
    """Return seconds as minutes or hours, rounded up: "3 min", "2 h 10 min"."""
    minutes = -(-seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@register.filter
def whole(count: int) -> str:
    """Return a count with its thousands separated by spaces."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


@register.filter
def figure(value: float | None, digits: int = 3) -> str:
    """Return a figure with a true minus sign, or a dash where it was not measured."""
    return "\N{EN DASH}" if value is None else f"{value:.{digits}f}".replace("-", MINUS)


@register.filter
def ends(interval: Interval | None) -> str:
    """Return a figure with its interval, or a dash where it was not measured."""
    if interval is None:
        return figure(None)
    return f"{figure(interval.value)} [{figure(interval.low)}, {figure(interval.high)}]"


@register.filter
def money(amount: int, currency: str) -> str:
    """Return minor units as a price, and "free" for 0."""
    return funds(amount, currency) if amount else "free"


@register.filter
def funds(amount: int, currency: str) -> str:
    """Return minor units as what an account holds or moves, below zero with a true minus sign."""
    return f"{amount_text(amount)} {currency}"


@register.filter
def short(digest: str | None) -> str:
    """Return the first digits of a digest; pages give the whole one in the element's `title`."""
    return "not seen" if digest is None else f"{digest.removeprefix('sha256:')[:12]}\N{HORIZONTAL ELLIPSIS}"


@register.filter
def named(people: dict[str, str], actor: str) -> str:
    """Return the name of an actor, or the actor itself if no name is known."""
    return people.get(actor, actor)


@register.filter
def points(basis_points: int) -> str:
    """Return basis points as per cent: 12.5 %."""
    return f"{basis_points / 100:g} %"


@register.simple_tag
def item_url(kind: str, item: str, page: str = "page") -> str:
    """Return the address of an item's page, whatever its kind."""
    return address_of(kind, item, page)


@register.filter
def split_stream(stream: str) -> list[str]:
    """Return what a stream is of, and its id."""
    return list(stream.partition("/")[::2])


@register.filter
def of_key(mapping: dict[str, object], key: str) -> object:
    """Return what a mapping has for a key, or None."""
    return mapping.get(key)


@register.simple_tag
def bar(row: Listing) -> SafeString | str:
    """Draw a listing's retention with its interval, where it was measured."""
    if row.retention is None or row.retention_low is None or row.retention_high is None:
        return ""
    return interval_bar(Interval(row.retention, row.retention_low, row.retention_high))


@register.simple_tag
def tier(row: Listing, at: object) -> str:
    """Return the tier of a valid certificate, or nothing."""
    return row.tier_at(at) or ""  # type: ignore[arg-type]  # templates are untyped
