"""What the certifier measured with, as the API shows it."""

from typing import Any

from rest_framework import serializers


class TokenizerOutput(serializers.Serializer[Any]):
    digest = serializers.CharField(allow_null=True)
    chat_template = serializers.CharField(allow_null=True, help_text="Digest; null: it has none.")


class InstrumentOutput(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Version of the measuring code.")
    seed = serializers.IntegerField(help_text="Of the random controls.")
    numerics = serializers.CharField(help_text="What the models ran in, such as cpu/float32.")
    source_tokenizer = TokenizerOutput(allow_null=True, help_text="Null: no model was run.")
    target_tokenizer = TokenizerOutput(allow_null=True)


class PrivateCellsOutput(serializers.Serializer[Any]):
    rotation = serializers.IntegerField()
    passed = serializers.BooleanField()
    commitment = serializers.CharField(help_text="Over the salted digests of the texts, until they are published.")


class CertifierMeasurementOutput(serializers.Serializer[Any]):
    """What the certifier measured with; the figures themselves are the version's `quality`."""

    measured_at = serializers.DateTimeField()
    instrument = InstrumentOutput()
    made_here = serializers.BooleanField(help_text="The certifier's own server fitted the file.")
    private = PrivateCellsOutput(allow_null=True)
