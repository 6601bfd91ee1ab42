"""Signed receipts: a DSSE envelope that says who bought what of whom, for how much, and how that was divided.

A receipt is made when it is asked for. Ed25519 is deterministic and the events do not change, so that the same sale
gives the same receipt until it is refunded.
"""

import base64
from typing import Any

import msgspec
from django.conf import settings
from rest_framework import serializers

from latentmas.events import store
from latentmas.events.models import Event
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.canonical import canonical, plain
from latentmas.protocol.dsse import DsseEnvelope, sign_envelope
from latentmas.rest.envelopes import EnvelopeOutput
from latentmas.transparency import keys
from latentmas.transparency.api import OpenedOutput
from latentmas.transparency.events import Purpose
from marketplace.sales.aggregate import SALE
from marketplace.sales.errors import SaleNotCaptured
from marketplace.sales.events import SaleCaptured, SaleOpened, SaleRefunded

PAYLOAD_TYPE = "application/vnd.latentmas.receipt+json"
RECEIPT_TYPE = "https://latentmas.org/receipt/v1"


class ReceiptOutput(serializers.Serializer[Any]):
    envelope = EnvelopeOutput(help_text="DSSE.")
    position = serializers.IntegerField(help_text="Of the sale's capture in the log: GET /api/log/proof?position=.")
    event = OpenedOutput(help_text="SHA-256(salt || body) is the `body` of the entry in the log.")


def receipt_document(sale: str, *, metadata: Metadata) -> dict[str, Any]:
    """Return a captured sale's receipt, and its event with the salt that opens the log's entry.

    Raises SaleNotCaptured, SigningKeyMissing or SigningKeyNotUsable.
    """
    events = store.read_stream(SALE.stream(sale))
    captured = next((event for event in events if isinstance(event.data, SaleCaptured)), None)
    if captured is None:
        raise SaleNotCaptured("there is no receipt: nothing was charged")
    signer = keys.signer(Purpose.RECEIPT, metadata=metadata)
    payload = canonical(plain(_receipt(sale, events, captured)))
    envelope: DsseEnvelope = sign_envelope(payload, payload_type=PAYLOAD_TYPE, key=signer.key, key_id=signer.key_id)
    row = Event.objects.get(position=captured.position)
    opened = {"salt": _base64(bytes(row.salt)), "body": _base64(bytes(row.body))}
    return {"envelope": msgspec.to_builtins(envelope), "position": captured.position, "event": opened}


def _receipt(sale: str, events: list[Recorded], captured: Recorded) -> dict[str, Any]:
    opened: SaleOpened = next(event.data for event in events if isinstance(event.data, SaleOpened))
    offer, settled = opened.offer, captured.data
    return {
        "type": RECEIPT_TYPE,
        "log": settings.LOG_ORIGIN,
        "position": captured.position,
        "sale": sale,
        "buyer": opened.buyer,
        "seller": offer.seller,
        "kind": offer.kind,
        "item": offer.item,
        "version": offer.version,
        "digest": offer.digest,
        "file": settled.file.digest,
        "tokens": settled.tokens,
        "price": {"amount": settled.price, "currency": offer.price.currency},
        "shares": settled.shares,
        "captured_at": captured.recorded_at,
        "refunds": [
            {"amount": event.data.amount, "reason": event.data.reason, "at": event.recorded_at}
            for event in events
            if isinstance(event.data, SaleRefunded)
        ],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
