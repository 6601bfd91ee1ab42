"""Where a version that came by its card is from, as the API shows it."""

from typing import Any

from rest_framework import serializers

from marketplace.listings.models import ListingVersion


class ForeignCertificateOutput(serializers.Serializer[Any]):
    """What another registry certifies of the file; it counts for nothing here."""

    tier = serializers.CharField()
    grade = serializers.CharField()
    issued_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    key_id = serializers.CharField(help_text="Of the key that signed it.")
    checked = serializers.BooleanField(help_text="The signature was checked here with that registry's key.")
    envelope = serializers.DictField(help_text="The signed certificate, as that registry serves it.")


class ImportedOutput(serializers.Serializer[Any]):
    registry = serializers.CharField(
        allow_null=True, help_text="The host whose signed feed named it; null: somebody sent its card."
    )
    listing_id = serializers.CharField(help_text="There.")
    version = serializers.CharField(help_text="There.")
    takedown_contact = serializers.CharField(allow_null=True, help_text="There.")
    certificate = ForeignCertificateOutput(allow_null=True)


def imported_document(row: ListingVersion) -> dict[str, Any] | None:
    """Return where a version came from by its card."""
    return None if row.imported is None else row.imported | {"takedown_contact": row.takedown_contact}
