"""Money: whole minor units of one currency, and how an amount is divided without losing one of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from latentmas.protocol.errors import InvalidInput

Name = TypeVar("Name")

CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (cents)."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Split:
    """How a sale's price is divided, in whole per cent."""

    creator: int
    platform: int
    validators: int


def check_currency(currency: str, field: str = "currency") -> None:
    """Raises InvalidInput for what is not three capital letters."""
    if CURRENCY.fullmatch(currency) is None:
        raise InvalidInput(f"{currency[:10]!r} is not a currency; write three letters, such as USD", field=field)


def divide(amount: int, weights: Mapping[Name, int]) -> dict[Name, int]:
    """Divide an amount in proportion to whole weights by largest remainder; the parts add up to it exactly.

    Of equal remainders the first one named gets the minor unit. Raises InvalidInput for weights that divide nothing.
    """
    total = sum(weights.values())
    if amount < 0 or total <= 0 or min(weights.values()) < 0:
        raise InvalidInput(f"{amount} cannot be divided by the weights {list(weights.values())}")
    parts = {name: amount * weight // total for name, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda name: -(amount * weights[name] % total))  # sorted is stable
    for name in by_remainder[: amount - sum(parts.values())]:
        parts[name] += 1
    return parts
