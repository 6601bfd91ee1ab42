"""What an x402 payment must say: our terms for an amount, and a look at the authorisation that a payer sends.

The scheme is `exact` on an EVM network by EIP-3009 `transferWithAuthorization`. Only the facilitator can tell whether
the signature holds and the payer has the money; what contradicts our terms is refused before it is asked.
"""

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

import msgspec

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.money import Money
from marketplace.ledger.errors import WrongCurrency
from marketplace.payments.errors import PaymentRefused

if TYPE_CHECKING:
    from x402.schemas import PaymentPayload, PaymentRequired, PaymentRequirements

SIGNATURE = "PAYMENT-SIGNATURE"  # the header of a request that pays
EXACT = "exact"
MINOR_DIGITS = 2
MAX_HEADER = 8192  # characters
SECONDS = 300  # for which an authorisation should hold
NONCE = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asset:
    """The token that pays, and who receives it. `name` and `version` are those of its EIP-712 domain."""

    network: str
    address: str
    name: str
    version: str
    decimals: int
    currency: str  # in which it is credited, one for one
    pay_to: str


class Authorization(msgspec.Struct, rename="camel"):
    """EIP-3009; the payer signs exactly these. Numbers are decimal strings."""

    from_: str = msgspec.field(name="from")
    to: str
    value: str
    valid_after: str
    valid_before: str
    nonce: str


def terms_for(asset: Asset, amount: Money) -> "PaymentRequirements":
    """Return what must be paid for an amount. Raises WrongCurrency."""
    from x402.schemas import PaymentRequirements

    if amount.currency != asset.currency:
        raise WrongCurrency(f"x402 pays in {asset.currency} here, not in {amount.currency}", field="currency")
    return PaymentRequirements(
        scheme=EXACT,
        network=asset.network,
        asset=asset.address,
        amount=str(amount.amount * 10 ** (asset.decimals - MINOR_DIGITS)),
        pay_to=asset.pay_to,
        max_timeout_seconds=SECONDS,
        extra={"name": asset.name, "version": asset.version},
    )


def payload_in(header: str, terms: "PaymentRequirements") -> "PaymentPayload":
    """Return the payment of a PAYMENT-SIGNATURE header, which is for exactly these terms.

    Raises InvalidInput for what is no payment, PaymentRefused for one of other terms.
    """
    from x402.http.utils import decode_payment_signature_header
    from x402.schemas import PaymentPayload

    try:
        payload = decode_payment_signature_header(header) if len(header) <= MAX_HEADER else None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"{SIGNATURE} is no payment of x402", field=SIGNATURE) from error
    if not isinstance(payload, PaymentPayload):
        raise InvalidInput(f"{SIGNATURE} is no payment of x402 version 2", field=SIGNATURE)
    if payload.accepted != terms:
        raise PaymentRefused("the payment was signed for other terms", reason="terms", accepts=[shown(terms)])
    _check_authorization(authorization_of(payload), terms)
    return payload


def authorization_of(payload: "PaymentPayload") -> Authorization:
    """Return what the payer has signed. Raises InvalidInput for another form than EIP-3009's."""
    try:
        return msgspec.convert(payload.payload.get("authorization"), Authorization)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the authorization is malformed: {error}", field=SIGNATURE) from error


def check_window(signed: Authorization) -> None:
    """Raise PaymentRefused for an authorisation out of its time, which the payer may have used in time, though."""
    now = int(time.time())
    if not int(signed.valid_after) <= now < int(signed.valid_before):
        raise PaymentRefused("the payment is not valid now", reason="window")


def top_up_id_for(payload: "PaymentPayload") -> str:
    """Return the id of the one top-up that an authorisation can pay for: it follows from payer, token and nonce."""
    signed, accepted = authorization_of(payload), payload.accepted
    once = (accepted.network, accepted.asset.lower(), signed.from_.lower(), signed.nonce.lower())
    return str(uuid5(NAMESPACE_URL, f"x402:{':'.join(once)}"))


def shown(terms: "PaymentRequirements | PaymentRequired") -> dict[str, object]:
    """Return what x402 says, as JSON data."""
    document: dict[str, object] = terms.model_dump(by_alias=True, exclude_none=True)
    return document


def _check_authorization(signed: Authorization, terms: "PaymentRequirements") -> None:
    """Raises InvalidInput or PaymentRefused."""
    numbers = (signed.value, signed.valid_after, signed.valid_before)
    if not all(each.isascii() and each.isdigit() and len(each) < 80 for each in numbers):
        raise InvalidInput("value, validAfter and validBefore are whole numbers", field=SIGNATURE)
    if NONCE.fullmatch(signed.nonce) is None or ADDRESS.fullmatch(signed.from_) is None:
        raise InvalidInput("nonce or from is not hexadecimal of its length", field=SIGNATURE)
    if signed.to.lower() != terms.pay_to.lower():
        raise PaymentRefused("the payment goes to somebody else", reason="payee")
    if signed.value != terms.amount:
        raise PaymentRefused(f"the payment is of {signed.value}, not of {terms.amount}", reason="amount")
