"""A payer's wallet for x402, by the official client and eth-account; its key is known to everybody."""

from dataclasses import replace
from typing import Any

from eth_account import Account
from x402.client import x402ClientSync
from x402.http.utils import decode_payment_required_header, encode_payment_signature_header
from x402.mechanisms.evm.exact.register import register_exact_evm_client
from x402.schemas import PaymentPayload

from marketplace.payments.gateways.x402_terms import Asset

PAY_TO = "0x" + "22" * 20
# USDC on Base Sepolia, as the x402 package has it.
ASSET = Asset(
    network="eip155:84532",
    address="0x036CbD53842c5426634e7929541eC2318f3dCF7e",
    name="USDC",
    version="2",
    decimals=6,
    currency="USD",
    pay_to=PAY_TO,
)
ELSEWHERE = replace(ASSET, pay_to="0x" + "33" * 20)
PAYER = Account.from_key("0x" + "11" * 32)
STRANGER = Account.from_key("0x" + "44" * 32)


def signed(required: str, account: Any = PAYER) -> PaymentPayload:
    """Return the payment that the official client makes of a PAYMENT-REQUIRED header."""
    client = register_exact_evm_client(x402ClientSync(), account)
    client.set_spend_controls({"max_amount_per_payment": "$100"})  # without it the client pays at most a dollar
    payload = client.create_payment_payload(decode_payment_required_header(required))
    assert isinstance(payload, PaymentPayload)
    return payload


def header(payload: PaymentPayload) -> str:
    return encode_payment_signature_header(payload)
