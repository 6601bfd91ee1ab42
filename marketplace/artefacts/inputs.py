"""What a seller sends, and the filters of the lists."""

from typing import Any

from rest_framework import serializers

from latentmas.protocol.reasoning_chain import MAX_STEPS
from latentmas.protocol.tensors import numbers
from latentmas.registry.queries import get_model
from latentmas.rest.parameters import ArrayField, StrictSerializer
from marketplace.artefacts.decisions import MAX_DISCOUNT, STATEMENT_CHARACTERS
from marketplace.artefacts.lineage import MAX_ROYALTIES, PARENTS
from marketplace.artefacts.made import MAX_CANARY
from marketplace.artefacts.publication import FIRST_VERSION
from marketplace.artefacts.queries import Filters
from marketplace.artefacts.segments import SEGMENT_CHARACTERS
from marketplace.listings.rest.selling_inputs import PriceField
from marketplace.listings.validation import MAX_PRICE
from marketplace.sales.deliveries import MAX_QUERY
from marketplace.texts.checks import DESCRIPTION_CHARACTERS, TITLE_CHARACTERS

FILTERS = ("seller", "price_max", "tokens_min", "tokens_max")
WHOLE_PRICE = 10_000  # basis points
MAX_NUMBER = (1 << 31) - 2
MEMORY: Any = {"max_length": 32, "help_text": "The id of one of your stored memories."}
CANARY: Any = {"min_value": 1, "max_value": MAX_CANARY, "required": False}
GIVEN_AWAY = "So many tokens from the beginning of the context are given away to everybody."


class ListInput(StrictSerializer):
    model = serializers.CharField(required=False, max_length=100, help_text="Name, hub id or alias.")
    seller = serializers.CharField(required=False, max_length=36)
    price_max = serializers.IntegerField(required=False, min_value=0, max_value=MAX_PRICE, help_text="Minor units.")
    tokens_min = serializers.IntegerField(required=False, min_value=0, max_value=MAX_NUMBER)
    tokens_max = serializers.IntegerField(required=False, min_value=0, max_value=MAX_NUMBER)
    limit = serializers.IntegerField(required=False, default=25, min_value=1, max_value=100)
    cursor = serializers.CharField(required=False, max_length=1000)


class VersionQuery(StrictSerializer):
    version = serializers.CharField(required=False, max_length=32, help_text="By default the newest one on offer.")


class ParentInput(StrictSerializer):
    artefact = serializers.UUIDField(help_text="What this one is made from.")
    royalty_basis_points = serializers.IntegerField(
        min_value=0,
        max_value=WHOLE_PRICE,
        default=0,
        help_text=f"Of the price of every sale, for its seller; of all parents together at most {MAX_ROYALTIES}.",
    )


class VersionFields(serializers.Serializer[Any]):
    """What a seller says of every version."""

    rights = serializers.CharField(
        max_length=STATEMENT_CHARACTERS, help_text="By what right you sell it; everybody reads it."
    )
    invertible = serializers.BooleanField(
        help_text="Must be true: you know that the text which the model has read can be won back from the file."
    )
    parents = ParentInput(
        many=True, required=False, help_text=f"At most {PARENTS}; they replace those that were declared before."
    )


class OfferFields(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=TITLE_CHARACTERS)
    description = serializers.CharField(max_length=DESCRIPTION_CHARACTERS, required=False, default="")
    version = serializers.CharField(max_length=32, default=FIRST_VERSION, help_text="MAJOR.MINOR.PATCH")


class TermsInput(StrictSerializer):
    price = PriceField(help_text="The formula's base price (docs/pricing.md); of embeddings the price itself.")
    floor = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=0, max_value=MAX_PRICE, help_text="Minor units."
    )
    discount = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=MAX_DISCOUNT, help_text="Per cent."
    )


class NextFields(serializers.Serializer[Any]):
    version = serializers.CharField(max_length=32, help_text="MAJOR.MINOR.PATCH, above the last one.")


class MemoryFields(serializers.Serializer[Any]):
    memory = serializers.CharField(**MEMORY)
    canary = serializers.IntegerField(**CANARY, help_text=GIVEN_AWAY)


class StepInput(StrictSerializer):
    text = serializers.CharField(trim_whitespace=False, help_text="Part of the file; on no card.")
    end = serializers.IntegerField(
        min_value=1, max_value=MAX_NUMBER, help_text="How many tokens of the context were read when it was over."
    )
    thoughts = ArrayField(required=False, help_text="[thoughts][width]: last hidden states, of few thoughts.")


class ChainFields(MemoryFields):
    steps = StepInput(many=True, help_text=f"At most {MAX_STEPS}; the last one ends where the memory does.")

    def validate_steps(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for step in steps:
            if "thoughts" in step:
                step["thoughts"] = numbers("thoughts", step["thoughts"], rank=2)
        return steps


class SegmentInput(StrictSerializer):
    memory = serializers.CharField(**MEMORY)
    text = serializers.CharField(max_length=SEGMENT_CHARACTERS, help_text="What the segment is found by; on no card.")
    session = serializers.IntegerField(min_value=1, max_value=MAX_NUMBER, help_text="From 1 on, none left out.")


class SegmentsFields(serializers.Serializer[Any]):
    segments = SegmentInput(many=True, allow_empty=False)


class CollectionFields(SegmentsFields):
    canary = serializers.IntegerField(**CANARY, help_text=f"{GIVEN_AWAY} Of the first segment.")


class EmbeddingsFields(serializers.Serializer[Any]):
    upload = serializers.CharField(max_length=32, help_text="Id of a finished upload: a file of vectors.")
    model = serializers.CharField(max_length=100, help_text="Name, hub id or alias.")
    canary = serializers.IntegerField(**CANARY, help_text="So many vectors are given away to everybody.")


class MemoryInput(OfferFields, VersionFields, MemoryFields, TermsInput):
    """List one of your stored memories."""


class MemoryVersionInput(NextFields, VersionFields, MemoryFields, StrictSerializer):
    pass


class ChainInput(OfferFields, VersionFields, ChainFields, TermsInput):
    """List a reasoning chain around one of your stored memories."""


class ChainVersionInput(NextFields, VersionFields, ChainFields, StrictSerializer):
    pass


class CollectionInput(OfferFields, VersionFields, CollectionFields, TermsInput):
    """List a long-term memory with its first segments."""


class AppendInput(VersionFields, SegmentsFields, StrictSerializer):
    """Append segments; the minor version counts them."""


class EmbeddingsInput(OfferFields, VersionFields, EmbeddingsFields, TermsInput):
    """List a file of static embeddings."""


class EmbeddingsVersionInput(NextFields, VersionFields, EmbeddingsFields, StrictSerializer):
    pass


class SelectInput(VersionQuery):
    query = serializers.CharField(
        max_length=MAX_QUERY, required=False, help_text="Without one the newest segments are chosen."
    )
    token_budget = serializers.IntegerField(required=False, min_value=1, max_value=MAX_NUMBER)


def filters_in(wanted: dict[str, Any]) -> Filters:
    """Return the filters among validated parameters of a list. Raises NotFound for a model that nobody knows."""
    model = get_model(wanted["model"]).name if "model" in wanted else None
    return Filters(**{name: wanted[name] for name in FILTERS if name in wanted}, model=model)
