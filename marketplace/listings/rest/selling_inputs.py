"""What a seller sends with a W-Matrix: parameters of a JSON body, or of the query where the body is the file."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from latentmas.protocol.money import Money
from latentmas.protocol.w_matrix import STANDARDS, Method, Space
from latentmas.rest.parameters import ArrayField, DigestField, StrictSerializer
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.validation import MAX_PRICE, STATEMENT_CHARACTERS, TAG_CHARACTERS, TAGS
from marketplace.texts.checks import DESCRIPTION_CHARACTERS, TITLE_CHARACTERS

CURRENCY = "USD"
MAX_SAMPLES = 10**12
AMOUNT: Any = {"type": "integer", "minimum": 0, "maximum": MAX_PRICE}
PRICE: Any = {
    "oneOf": [
        AMOUNT,
        {
            "type": "object",
            "properties": {"amount": AMOUNT, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}},
            "required": ["amount"],
            "additionalProperties": False,
        },
    ]
}


@extend_schema_field(PRICE)
class PriceField(serializers.Field[Any, Any, Any, Any]):
    """`{"amount": 1999, "currency": "USD"}`, or whole minor units of USD alone."""

    def to_internal_value(self, data: Any) -> Money:
        given = data if isinstance(data, dict) else {"amount": data}
        if unknown := sorted(set(given) - {"amount", "currency"}):
            raise serializers.ValidationError(f"a price has an amount and a currency, no {unknown[0]!r}")
        amount, currency = given.get("amount"), given.get("currency", CURRENCY)
        if isinstance(amount, str) and amount.isascii() and amount.isdigit():  # of a query
            amount = int(amount[:20])
        if type(amount) is not int:
            raise serializers.ValidationError(f"{amount!r} is not in whole minor units; write 1999 for 19.99")
        if not isinstance(currency, str):
            raise serializers.ValidationError("the currency is not an ISO 4217 code, such as USD")
        return Money(amount, currency)


@extend_schema_field({"type": "array", "items": {"type": "string", "maxLength": TAG_CHARACTERS}, "maxItems": TAGS})
class TagsField(serializers.Field[Any, Any, Any, Any]):
    """A list of words, or words with commas between them in a query."""

    def to_internal_value(self, data: Any) -> tuple[str, ...]:
        words = [word.strip() for word in data.split(",")] if isinstance(data, str) else data
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise serializers.ValidationError("not a list of words")
        return tuple(words)


class DeclaredInput(StrictSerializer):
    """What a seller says of a version. It is declared, and never certified."""

    version = serializers.CharField(max_length=32, help_text="MAJOR.MINOR.PATCH, as in the file.")
    epsilon = serializers.FloatField(min_value=0, max_value=1)
    test_samples = serializers.IntegerField(min_value=0, max_value=MAX_SAMPLES)
    cosine_similarity = serializers.FloatField(min_value=-1, max_value=1, required=False, allow_null=True)
    euclidean_distance = serializers.FloatField(min_value=0, required=False, allow_null=True)
    signature = serializers.CharField(
        max_length=200, required=False, help_text="<key id>:<base64>, by a key of the agent (docs/access.md)."
    )


class FileVersionInput(DeclaredInput):
    """In the query, where the body is the file."""

    digest = DigestField(required=False, help_text="sha256:<hex> of the file; another file is refused.")


class VersionInput(DeclaredInput):
    """The file as an upload that is finished, or y = x W + b as arrays."""

    upload = serializers.CharField(max_length=32, required=False, help_text="Id of a finished upload.")
    weights = ArrayField(required=False)
    biases = serializers.ListField(child=serializers.FloatField(), required=False)
    source_dimension = serializers.IntegerField(min_value=1, required=False)
    target_dimension = serializers.IntegerField(min_value=1, required=False)
    standard = serializers.ChoiceField([*STANDARDS], default=STANDARDS[0])
    method = serializers.ChoiceField([method.value for method in Method], default=Method.LEARNED.value)
    space = serializers.ChoiceField([space.value for space in Space], default=Space.KV_CACHE.value)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("upload" in attrs) == ("weights" in attrs):
            raise serializers.ValidationError({"weights": "give either weights or the id of a finished upload"})
        if "weights" in attrs:
            for name in ("source_dimension", "target_dimension"):
                if name not in attrs:
                    raise serializers.ValidationError({name: "is needed with weights"})
        return attrs


class ListingFields(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=TITLE_CHARACTERS)
    description = serializers.CharField(max_length=DESCRIPTION_CHARACTERS, required=False, default="")
    source_model = serializers.CharField(max_length=100, help_text="Name, hub id or alias.")
    target_model = serializers.CharField(max_length=100, help_text="Name, hub id or alias.")
    price = PriceField(help_text=f"Minor units, at most {MAX_PRICE}.")
    tags = TagsField(
        required=False, default=(), help_text=f"At most {TAGS} of {TAG_CHARACTERS} characters each, without markup."
    )
    seller_statement = serializers.CharField(
        max_length=STATEMENT_CHARACTERS, required=False, help_text="By what right you offer it; shown, not checked."
    )
    access = serializers.ChoiceField([each.value for each in Access], default=Access.PUBLIC.value)


class CreateInput(ListingFields, VersionInput):
    """The specification's createListing."""


class CreateFileInput(ListingFields, FileVersionInput):
    """In the query, where the body is the file."""
