"""How a delivery is asked for in a request; quotes of every kind take it in the same words."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from latentmas.rest.parameters import DigestField, StrictSerializer
from marketplace.sales.goods import Delivery, Form

MAX_QUERY = 2_000  # characters
MAX_TOKENS = 10**7


class DeliveryInput(StrictSerializer):
    """What the buyer asks for; each kind of goods looks only at what concerns it."""

    form = serializers.ChoiceField([form.value for form in Form], default=Form.COMPRESSED.value)
    target_model = serializers.CharField(required=False, max_length=100, help_text="Of an aligned delivery.")
    target_weights = DigestField(required=False, help_text="Of the buyer's own weights, where it matters.")
    minimum_retention = serializers.FloatField(
        required=False, min_value=0, max_value=1, help_text="Below it an aligned delivery is refused, free of charge."
    )
    after_step = serializers.IntegerField(
        required=False, min_value=1, max_value=10**6, help_text="Of a reasoning chain; the last one by default."
    )
    query = serializers.CharField(required=False, max_length=MAX_QUERY, help_text="Of a long-term memory.")
    token_budget = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_TOKENS, help_text="Of a long-term memory."
    )


class DeliveryOutput(serializers.Serializer[Any]):
    form = serializers.ChoiceField([form.value for form in Form])
    target_model = serializers.CharField(allow_null=True)
    target_weights = serializers.CharField(allow_null=True)
    minimum_retention = serializers.FloatField(allow_null=True)
    after_step = serializers.IntegerField(allow_null=True)
    query = serializers.CharField(allow_null=True, help_text="Of a purchase: the commitment to it, sha256:<hex>.")
    token_budget = serializers.IntegerField(allow_null=True)


def delivery_of(values: Mapping[str, Any]) -> Delivery:
    """Return the delivery that validated parameters ask for."""
    return Delivery(**{**values, "form": Form(values.get("form", Form.COMPRESSED))})
