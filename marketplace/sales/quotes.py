"""Quotes: what an item costs one buyer for a while, as a signed token. Nothing is stored until it is used."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec
from django.core import signing
from django.utils import timezone

from latentmas.protocol.commitments import new_salt
from marketplace.agents.models import Agent
from marketplace.pricing.commands import in_force, of_version
from marketplace.pricing.configuration import Configuration
from marketplace.pricing.formula import Asked, Breakdown, price_of
from marketplace.sales.distribution import Share, shares_of
from marketplace.sales.errors import OwnGoods, QuoteExpired, QuoteInvalid, QuoteNotYours
from marketplace.sales.goods import Delivery, Kind, Offer, goods_of

SALT = "marketplace.sales.quote"
MAX_TOKEN = 16_384  # characters


@dataclass(frozen=True, slots=True)
class Quote:
    """What the token holds, and nobody can alter: buyer, item, delivery, price, split and royalties, until when."""

    id: str
    buyer: str  # the agent
    offer: Offer
    delivery: Delivery
    price: int  # minor units, the most that the purchase may cost
    configuration: int  # the version of the price configuration
    expires_at: datetime
    salt: str  # of the commitment to the delivery's query


@dataclass(frozen=True, slots=True)
class Quoted:
    """A quote with its token, and how its price comes about and would be divided."""

    quote: Quote
    token: str
    breakdown: Breakdown | None  # None: the seller's price as it is
    shares: Sequence[Share]


def quote(kind: Kind, item: str, *, version: str | None = None, delivery: Delivery, buyer: str) -> Quoted:
    """Return a quote for an agent. Raises what the kind's `offer` does, and OwnGoods."""
    offer = goods_of(kind).offer(item, version, delivery, buyer=buyer)
    check_not_own(offer.seller, buyer)
    now = in_force()
    breakdown = breakdown_of(offer, now.configuration)
    made = Quote(
        id=str(uuid4()),
        buyer=buyer,
        offer=offer,
        delivery=delivery,
        price=offer.price.amount if breakdown is None else breakdown.price,
        configuration=now.version,
        expires_at=timezone.now() + timedelta(seconds=now.configuration.quote_seconds),
        salt=new_salt(),
    )
    return _quoted(made, sealed(made), now.configuration)


def quoted_again(token: str) -> Quoted:
    """Return a quote as it was made, from its token, whatever its age. Raises QuoteInvalid."""
    made = opened(token)
    return _quoted(made, token, of_version(made.configuration))


def breakdown_of(offer: Offer, configuration: Configuration, *, tokens: int | None = None) -> Breakdown | None:
    """Return how the formula makes an offer's price, for `tokens` where other than offered; None without factors."""
    if offer.factors is None:
        return None
    factors = offer.factors if tokens is None else replace(offer.factors, tokens=tokens)
    return price_of(Asked(offer.price.amount, offer.floor, offer.discount), factors, configuration)


def sealed(made: Quote) -> str:
    """Return a quote as a token."""
    return signing.Signer(salt=SALT).sign_object(msgspec.to_builtins(made))


def opened(token: str) -> Quote:
    """Return the quote of a token, whatever its age. Raises QuoteInvalid for one that was not made here."""
    if len(token) > MAX_TOKEN:
        raise QuoteInvalid(f"a quote has at most {MAX_TOKEN} characters", field="quote")
    try:
        document = signing.Signer(salt=SALT).unsign_object(token)  # compares in constant time
        return msgspec.convert(document, Quote)
    except (signing.BadSignature, msgspec.ValidationError, ValueError) as error:
        raise QuoteInvalid("the quote was not made here, or was altered", field="quote") from error


def _quoted(made: Quote, token: str, configuration: Configuration) -> Quoted:
    shares = shares_of(made.price, made.offer, configuration, helper=None)
    return Quoted(made, token, breakdown_of(made.offer, configuration), shares)


def check_usable(made: Quote, *, buyer: str, at: datetime) -> None:
    """Let a quote pass that its buyer uses in time. Raises QuoteNotYours or QuoteExpired."""
    if made.buyer != buyer:
        raise QuoteNotYours("the quote was made for another agent")
    if made.expires_at <= at:
        raise QuoteExpired(f"the quote expired at {made.expires_at.isoformat()}")


def check_not_own(seller: str, buyer: str) -> None:
    """Raise OwnGoods where the same login acts for both."""
    owners = dict(Agent.objects.filter(id__in={seller, buyer}).values_list("id", "owner"))
    if seller == buyer or (seller in owners and owners[seller] == owners.get(buyer)):
        raise OwnGoods("the seller and the buyer are agents of the same login")
