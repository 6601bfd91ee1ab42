"""Mandates: what a token may spend, on what and until when. Pure; the sales call `check_mandate` before they charge."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import InvalidInput, LatentMASError

MAX_SELLERS = 50
MAX_AMOUNT = 10**12  # minor units


class MandateRefused(LatentMASError):
    """The purchase lies outside the token's mandate; nothing was charged."""

    code = "MANDATE_REFUSED"
    status = 403
    title = "The token's mandate does not cover this"
    resolution = "Buy with another token, or make one with a wider mandate."


class MandateExpired(MandateRefused):
    code = "MANDATE_EXPIRED"
    title = "The token's mandate has expired"


class MandateCurrency(MandateRefused):
    code = "MANDATE_CURRENCY_NOT_ALLOWED"


class MandateSeller(MandateRefused):
    code = "MANDATE_SELLER_NOT_ALLOWED"


class MandateTier(MandateRefused):
    code = "MANDATE_TIER_NOT_ALLOWED"


class MandateCap(MandateRefused):
    code = "MANDATE_CAP_EXCEEDED"
    title = "The price is above the token's cap for one item"


class MandateBudget(MandateRefused):
    code = "MANDATE_BUDGET_EXCEEDED"
    title = "The token's budget for today is spent"
    resolution = "Buy tomorrow (UTC), or with another token."


@dataclass(frozen=True, slots=True)
class Mandate:
    """What a token may buy. Amounts are in minor units of `currency`; None anywhere means no such limit."""

    currency: str
    budget_per_day: int | None = None
    cap_per_item: int | None = None
    sellers: tuple[str, ...] | None = None  # ids of agents
    tiers: tuple[Tier, ...] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is about to be bought; `tier` is that of its certificate, None without one."""

    amount: int
    currency: str
    seller: str
    tier: Tier | None


def check_mandate(mandate: Mandate, purchase: Purchase, *, spent_today: int, at: datetime) -> None:
    """Let a purchase pass that the mandate covers. `spent_today` is what the token has spent since midnight UTC.

    Raises MandateExpired, MandateCurrency, MandateSeller, MandateTier, MandateCap or MandateBudget.
    """
    if mandate.expires_at is not None and mandate.expires_at <= at:
        raise MandateExpired(f"the mandate expired at {mandate.expires_at.isoformat()}")
    if purchase.currency != mandate.currency:
        raise MandateCurrency(f"the price is in {purchase.currency}, the mandate in {mandate.currency}")
    if mandate.sellers is not None and purchase.seller not in mandate.sellers:
        raise MandateSeller(f"the seller {purchase.seller} is not among those of the mandate")
    if mandate.tiers is not None and purchase.tier not in mandate.tiers:
        allowed = ", ".join(tier.value for tier in mandate.tiers)
        has = "without a certificate" if purchase.tier is None else purchase.tier.value
        raise MandateTier(f"the item is {has}; the mandate allows {allowed}")
    if mandate.cap_per_item is not None and purchase.amount > mandate.cap_per_item:
        raise MandateCap(
            f"the price is {purchase.amount}, the cap {mandate.cap_per_item}",
            price=purchase.amount,
            cap=mandate.cap_per_item,
        )
    if mandate.budget_per_day is not None and spent_today + purchase.amount > mandate.budget_per_day:
        left = max(0, mandate.budget_per_day - spent_today)
        raise MandateBudget(
            f"the price is {purchase.amount}, of today's {mandate.budget_per_day} {left} is left",
            price=purchase.amount,
            left=left,
            budget=mandate.budget_per_day,
        )


def check_terms(mandate: Mandate) -> None:
    """Check a mandate itself, before a token gets it. Raises InvalidInput."""
    for name in ("budget_per_day", "cap_per_item"):
        amount = getattr(mandate, name)
        if amount is not None and not 0 <= amount <= MAX_AMOUNT:
            raise InvalidInput(f"{name} is {amount}; it must be 0 to {MAX_AMOUNT} minor units", field=f"mandate.{name}")
    if not (len(mandate.currency) == 3 and mandate.currency.isascii() and mandate.currency.isupper()):
        raise InvalidInput(f"{mandate.currency[:10]!r} is no currency, such as USD", field="mandate.currency")
    if mandate.sellers is not None and len(mandate.sellers) > MAX_SELLERS:
        raise InvalidInput(f"a mandate names at most {MAX_SELLERS} sellers", field="mandate.sellers")
    for name in ("sellers", "tiers"):
        if getattr(mandate, name) == ():
            raise InvalidInput(f"{name} is empty, which would allow nothing; leave it out", field=f"mandate.{name}")


def stored(mandate: Mandate) -> dict[str, Any]:
    """Return a mandate as JSON data."""
    document: dict[str, Any] = msgspec.to_builtins(mandate)
    return document


def parsed(document: Any) -> Mandate:
    """Return the mandate of JSON data."""
    return msgspec.convert(document, Mandate)
