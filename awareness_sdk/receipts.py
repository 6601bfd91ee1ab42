"""Verify offline that a receipt is the server's, and that the sale it is of stands in the log as it says."""

import json
from collections.abc import Mapping
from typing import Any

from awareness_sdk.log_proofs import ProvedEvent, Trust, proved_event
from latentmas.protocol.verification.envelopes import open_envelope
from latentmas.protocol.verification.errors import Reason, VerificationFailed

PAYLOAD_TYPE = "application/vnd.latentmas.receipt+json"
RECEIPT_TYPE = "https://latentmas.org/receipt/v1"
EVENT_TYPE = "sale.captured"


def verify_receipt(receipt: Any, *, proof: Any, trust: Trust) -> dict[str, Any]:
    """Return what a receipt says, where it is signed and the log has the same sale, price, shares and file.

    `receipt` is the decoded answer of a purchase's `/receipt`, `proof` that of `/api/log/proof` for the position in it.
    Refunds are said by the signature alone: they came later. Raises VerificationFailed.
    """
    try:
        envelope, opened = receipt["envelope"], receipt["event"]
    except (KeyError, TypeError) as error:
        raise VerificationFailed(Reason.ENVELOPE_MALFORMED, "this is no answer of a purchase's /receipt") from error
    trust.require_no_revoked_key(envelope)
    said = _read(open_envelope(envelope, trust.receipt_keys, payload_type=PAYLOAD_TYPE))
    event = proved_event(proof, trust=trust, opened=opened)
    if event.type != EVENT_TYPE or _of_event(event) != _of_receipt(said):
        raise VerificationFailed(Reason.NOT_IN_LOG, "the event in the log is of another sale than the receipt")
    return said


def _read(payload: bytes) -> dict[str, Any]:
    """Return a receipt's document, with everything that is compared."""
    try:
        document = dict(json.loads(payload))
        right = document["type"] == RECEIPT_TYPE
        _of_receipt(document)
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationFailed(Reason.STATEMENT_MALFORMED, "the payload is no receipt") from error
    if not right:
        raise VerificationFailed(Reason.STATEMENT_MALFORMED, f"the payload is no {RECEIPT_TYPE}")
    return document


def _of_receipt(said: Mapping[str, Any]) -> tuple[object, ...]:
    return f"sale/{said['sale']}", said["position"], said["price"]["amount"], said["file"], said["shares"]


def _of_event(event: ProvedEvent) -> tuple[object, ...]:
    settled = event.payload
    return event.stream, event.position, settled["price"], settled["file"]["digest"], settled["shares"]
