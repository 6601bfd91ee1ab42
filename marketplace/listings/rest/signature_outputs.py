"""How a signed certificate is shown."""

from typing import Any

from rest_framework import serializers

from latentmas.protocol.canonical import plain
from latentmas.rest.envelopes import EnvelopeOutput
from marketplace.listings.certificates.signing import signed_certificates
from marketplace.listings.models import ListingVersion


class SignatureOutput(serializers.Serializer[Any]):
    envelope = EnvelopeOutput(help_text="DSSE.")
    position = serializers.IntegerField(help_text="In the log: GET /api/log/proof?position= proves it.")


def signature_of(row: ListingVersion) -> object:
    """Return the envelope of the version's certificate and its position; None while it waits to be signed."""
    return plain(signed_certificates([row]).get(row.id))
