"""Amounts of minor units as people read and write them."""

from decimal import Decimal

MINUS = "\N{MINUS SIGN}"


def amount_text(amount: int) -> str:
    """Return minor units with two decimals and a true minus sign: 19.99."""
    whole, part = divmod(abs(amount), 100)
    return f"{MINUS if amount < 0 else ''}{whole}.{part:02d}"


def minor_units(written: Decimal) -> int:
    """Return an amount with at most two decimals in minor units."""
    return int(written * 100)
