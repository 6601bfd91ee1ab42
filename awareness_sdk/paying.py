"""Pay a price where it is met, by x402: `AwarenessClient(api_key, payer=X402Payer(account, most=500))`."""

import base64
import json
from typing import Any, Protocol

from awareness_sdk.errors import AwarenessError
from latentmas.extras import MissingExtra, absent

EXTRA = "paying"


class PaymentNotSigned(AwarenessError):
    """The payment that is asked for is above what the payer allows, or one that it cannot make; nothing was paid."""


class Payer(Protocol):
    """What pays where the server answers 402 with the header PAYMENT-REQUIRED."""

    def sign(self, required: str) -> str:
        """Return the header PAYMENT-SIGNATURE that pays what a PAYMENT-REQUIRED asks for. Raises PaymentNotSigned."""

    def settled(self, response: str) -> None:
        """Take note of the header PAYMENT-RESPONSE of a payment that was made."""


class X402Payer:
    """Signs EIP-3009 authorisations with the official x402 client.

    `signer` is an account of eth_account, or another signer of x402's. `most` is the most that one payment may be, in
    minor units of US dollars (500 are 5.00 USD). `settlements` has what the facilitator answered to each payment.
    """

    def __init__(self, signer: Any, *, most: int) -> None:
        self._client, self.most = _client(signer, most), most
        self.settlements: list[dict[str, Any]] = []

    def sign(self, required: str) -> str:
        """Return the signed payment. Raises PaymentNotSigned."""
        from x402.http.utils import decode_payment_required_header, encode_payment_signature_header
        from x402.schemas import PaymentError

        try:
            payment = self._client.create_payment_payload(decode_payment_required_header(required))
        except (PaymentError, ValueError) as error:
            raise PaymentNotSigned({"code": "PAYMENT_NOT_SIGNED", "detail": str(error)}) from error
        return encode_payment_signature_header(payment)

    def settled(self, response: str) -> None:
        """Keep the facilitator's answer: `success`, `transaction`, `network`, `payer`."""
        self.settlements.append(json.loads(base64.b64decode(response)))


def _client(signer: Any, most: int) -> Any:
    """Return x402's client that signs with a key, and for no more than so much. Raises MissingExtra."""
    if absent(EXTRA):
        raise MissingExtra(EXTRA, "awareness_sdk.paying")
    from x402.client import x402ClientSync
    from x402.mechanisms.evm.exact.register import register_exact_evm_client

    client = register_exact_evm_client(x402ClientSync(), signer)
    client.set_spend_controls({"max_amount_per_payment": f"${most // 100}.{most % 100:02d}"})
    return client
