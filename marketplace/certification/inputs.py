"""What a validator submits."""

from typing import Any

import msgspec
from rest_framework import serializers

from latentmas.protocol.quality import Instrument, Interval
from latentmas.rest.parameters import DigestField, StrictSerializer
from marketplace.listings.events.certification import RecertifiedCell, VersionRecertified

MAX_TEXT = 100
MAX_SIGNATURE = 200
MAX_CELLS = 200
MAX_TOKENS = (1 << 31) - 1
MAX_SEED = (1 << 63) - 1


class IntervalInput(StrictSerializer):
    value = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class CellInput(StrictSerializer):
    register = serializers.CharField(max_length=MAX_TEXT)
    length = serializers.IntegerField(min_value=1, max_value=MAX_TOKENS, help_text="Tokens of context.")
    retention = IntervalInput()


class TokenizerInput(StrictSerializer):
    digest = DigestField(allow_null=True)
    chat_template = DigestField(allow_null=True)


class InstrumentInput(StrictSerializer):
    code = serializers.CharField(max_length=MAX_TEXT)
    seed = serializers.IntegerField(min_value=0, max_value=MAX_SEED)
    numerics = serializers.CharField(max_length=MAX_TEXT)
    source_tokenizer = TokenizerInput(required=False, allow_null=True)
    target_tokenizer = TokenizerInput(required=False, allow_null=True)


class RecertificationInput(StrictSerializer):
    file = DigestField(help_text="Of the W-Matrix file that was measured.")
    suite = DigestField(help_text="Of the evaluation suite.")
    instrument = InstrumentInput()
    cells = serializers.ListField(
        child=CellInput(), max_length=MAX_CELLS, help_text="Every public cell that the certifier measured."
    )
    signature = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=MAX_SIGNATURE,
        help_text="<key id>:<base64>, by a key of the agent over what it submits (docs/certification.md).",
    )


def submission_from(values: dict[str, Any], *, version: str, validator: str) -> VersionRecertified:
    """Return what was submitted as the event that may follow from it; whether it agrees is not decided yet."""
    return VersionRecertified(
        version=version,
        validator=validator,
        file=values["file"],
        suite=values["suite"],
        instrument=msgspec.convert(values["instrument"], Instrument),
        cells=tuple(
            RecertifiedCell(each["register"], each["length"], Interval(**each["retention"])) for each in values["cells"]
        ),
        agrees=False,
        signature=values.get("signature"),
    )
