"""How a signed certificate is shown."""

from typing import Any

from rest_framework import serializers

from latentmas.protocol.canonical import plain
from marketplace.listings.models import ListingVersion
from marketplace.listings.signing import signed_certificates


class EnvelopeSignatureOutput(serializers.Serializer[Any]):
    keyid = serializers.CharField(help_text="Of a key that GET /api/log/keys names.")
    sig = serializers.CharField(help_text="Ed25519, in base64.")


class EnvelopeOutput(serializers.Serializer[Any]):
    payloadType = serializers.CharField()  # noqa: N815 - DSSE's own spelling
    payload = serializers.CharField(help_text="An in-toto statement about the file, in base64.")
    signatures = EnvelopeSignatureOutput(many=True)


class SignatureOutput(serializers.Serializer[Any]):
    envelope = EnvelopeOutput(help_text="DSSE.")
    position = serializers.IntegerField(help_text="In the log: GET /api/log/proof?position= proves it.")


def signature_of(row: ListingVersion) -> object:
    """Return the envelope of the version's certificate and its position; None while it waits to be signed."""
    return plain(signed_certificates([row]).get(row.id))
