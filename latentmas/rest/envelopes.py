"""How a signed DSSE envelope is shown."""

from typing import Any

from rest_framework import serializers


class EnvelopeSignatureOutput(serializers.Serializer[Any]):
    keyid = serializers.CharField(help_text="Of a key that GET /api/log/keys names.")
    sig = serializers.CharField(help_text="Ed25519, in base64.")


class EnvelopeOutput(serializers.Serializer[Any]):
    payloadType = serializers.CharField()  # noqa: N815 - DSSE's own spelling
    payload = serializers.CharField(help_text="In base64: an in-toto statement about a file, or a receipt.")
    signatures = EnvelopeSignatureOutput(many=True)
