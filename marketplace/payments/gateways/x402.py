"""x402: an agent signs an authorisation, and a facilitator carries it out on its network."""

from typing import TYPE_CHECKING

import httpx

from latentmas.outbound_transport import OutboundTransport
from marketplace.payments.errors import GatewayAway, PaymentRefused, X402PaymentRequired
from marketplace.payments.gateways.interface import Outcome, Payment, Verdict, Wanted
from marketplace.payments.gateways.x402_terms import (
    SIGNATURE,
    Asset,
    authorization_of,
    check_window,
    payload_in,
    shown,
    terms_for,
    top_up_id_for,
)

if TYPE_CHECKING:
    from x402.http import HTTPFacilitatorClientSync
    from x402.schemas import PaymentPayload, PaymentRequirements, SettleResponse

X402 = "x402"
PENDING = "settlement_pending"
REQUIRED_HEADER, RESPONSE_HEADER = "PAYMENT-REQUIRED", "PAYMENT-RESPONSE"


class X402Gateway:
    name = X402
    asks = True

    def __init__(self, asset: Asset, *, facilitator: str, token: str | None) -> None:
        self._asset, self._facilitator, self._token = asset, facilitator, token

    def prepare(self, wanted: Wanted) -> Payment:
        """Return the payment that a request has brought; its id follows from the authorisation."""
        terms = terms_for(self._asset, wanted.amount)
        if wanted.header is None:
            raise _required(terms, wanted.resource)
        payload = payload_in(wanted.header, terms)
        return Payment(top_up_id_for(payload), wanted.amount, authorisation=payload.model_dump(by_alias=True))

    def check(self, payment: Payment) -> None:
        """Have the facilitator verify signature, window, nonce and balance; nothing is carried out."""
        payload, terms = self._signed(payment)
        check_window(authorization_of(payload))
        try:
            verified = self._client().verify(payload, terms)
        except (httpx.HTTPError, ValueError) as error:
            raise GatewayAway("the facilitator has not said whether the payment can be made") from error
        if not verified.is_valid:
            raise PaymentRefused(
                f"the facilitator refuses the payment: {verified.invalid_reason}", reason=verified.invalid_reason
            )

    def start(self, payment: Payment) -> Outcome:
        """Settle the payment. A failure that names a transaction, or none at all, leaves open what has happened."""
        try:
            settled = self._client().settle(*self._signed(payment))
        except (httpx.HTTPError, ValueError):
            return Outcome(Verdict.UNKNOWN)
        headers = {RESPONSE_HEADER: _encoded(settled)}
        if settled.success:
            return Outcome(Verdict.PAID, settled.transaction, received=payment.amount, headers=headers)
        if settled.transaction or settled.error_reason == PENDING:
            return Outcome(Verdict.UNKNOWN)
        return Outcome(Verdict.FAILED, explanation=f"the facilitator says: {settled.error_reason}", headers=headers)

    def ask(self, payment: Payment) -> Outcome:
        """Settle again, which a network does once for a nonce. Only a success is an answer.

        That the nonce is used, or the time is over, does not tell whether it was this payment that used it.
        """
        outcome = self.start(payment)
        return outcome if outcome.verdict is Verdict.PAID else Outcome(Verdict.UNKNOWN)

    def give_up(self, payment: Payment) -> Outcome:
        return self.ask(payment)

    def _signed(self, payment: Payment) -> "tuple[PaymentPayload, PaymentRequirements]":
        from x402.schemas import PaymentPayload

        payload = PaymentPayload.model_validate(payment.authorisation)
        return payload, payload.accepted  # which `prepare` has compared with our terms

    def _client(self) -> "HTTPFacilitatorClientSync":
        from x402.http import FacilitatorConfig, HTTPFacilitatorClientSync

        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        http = httpx.Client(transport=OutboundTransport(), headers=headers)
        return HTTPFacilitatorClientSync(FacilitatorConfig(url=self._facilitator, http_client=http))


def _required(terms: "PaymentRequirements", resource: str) -> X402PaymentRequired:
    from x402.http.utils import encode_payment_required_header
    from x402.schemas import PaymentRequired, ResourceInfo

    required = PaymentRequired(error=f"{SIGNATURE} is required", accepts=[terms], resource=ResourceInfo(url=resource))
    error = X402PaymentRequired("a top-up by x402 needs the payment itself", accepts=[shown(terms)])
    error.headers = {REQUIRED_HEADER: encode_payment_required_header(required)}
    error.members = shown(required)
    return error


def _encoded(settled: "SettleResponse") -> str:
    from x402.http.utils import encode_payment_response_header

    return encode_payment_response_header(settled)
