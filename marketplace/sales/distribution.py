"""How a price is divided: creator, platform and validators, then helper and royalties out of the creator's share. Pure.

Creator, platform and validators by largest remainder. Royalties and the helper's share are rounded down, and are scaled
down together where they would take more of the creator's share than the configuration allows; the creator keeps the
rest. So the shares always add up to the price.
"""

from dataclasses import dataclass
from enum import StrEnum

from latentmas.protocol.money import divide
from marketplace.ledger import accounts
from marketplace.pricing.configuration import WHOLE, Configuration
from marketplace.sales.goods import Helper, Offer


class Recipient(StrEnum):
    """As what an account gets its share."""

    CREATOR = "creator"
    PLATFORM = "platform"
    VALIDATOR = "validator"
    ROYALTY = "royalty"
    HELPER = "helper"


@dataclass(frozen=True, slots=True)
class Share:
    """What an account gets of a sale, in minor units; `item` is the ancestor or the W-Matrix that earns it."""

    recipient: Recipient
    account: str
    amount: int
    item: str | None = None


def shares_of(price: int, offer: Offer, configuration: Configuration, *, helper: Helper | None) -> tuple[Share, ...]:
    """Return the shares of a price; they add up to it. Raises InvalidInput for a split that divides nothing."""
    currency = offer.price.currency
    parts = divide(
        price,
        {
            Recipient.CREATOR: offer.split.creator,
            Recipient.PLATFORM: offer.split.platform,
            Recipient.VALIDATOR: offer.split.validators,
        },
    )
    others = _out_of_the_creators(price, parts[Recipient.CREATOR], offer, configuration, helper)
    rest = parts[Recipient.CREATOR] - sum(each.amount for each in others)
    shares = (
        Share(Recipient.CREATOR, accounts.wallet(offer.seller, currency), rest),
        Share(Recipient.PLATFORM, accounts.platform(currency), parts[Recipient.PLATFORM]),
        *_validators(parts[Recipient.VALIDATOR], offer),
        *others,
    )
    return tuple(each for each in shares if each.amount)


def _validators(amount: int, offer: Offer) -> list[Share]:
    """Divide the validators' share among those who agree with the certificate; without any it is not assigned."""
    currency = offer.price.currency
    if not offer.validators:
        return [Share(Recipient.VALIDATOR, accounts.validators(currency), amount)]
    parts = divide(amount, dict.fromkeys(offer.validators, 1))
    return [Share(Recipient.VALIDATOR, accounts.wallet(agent, currency), part) for agent, part in parts.items()]


def _out_of_the_creators(
    price: int, creators: int, offer: Offer, configuration: Configuration, helper: Helper | None
) -> list[Share]:
    currency = offer.price.currency
    claims = [
        Share(Recipient.ROYALTY, accounts.wallet(each.agent, currency), price * each.basis_points // WHOLE, each.item)
        for each in offer.royalties
    ]
    if helper is not None:
        amount = price * configuration.helper_basis_points // WHOLE
        owner = accounts.platform(currency) if helper.agent is None else accounts.wallet(helper.agent, currency)
        claims.append(Share(Recipient.HELPER, owner, amount, helper.listing))
    highest = creators * configuration.shared_basis_points // WHOLE
    claimed = sum(each.amount for each in claims)
    if claimed <= highest:
        return claims
    scaled = divide(highest, {place: each.amount for place, each in enumerate(claims)})
    return [Share(each.recipient, each.account, scaled[place], each.item) for place, each in enumerate(claims)]
