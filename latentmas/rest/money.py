"""Money in answers: `{"amount": 1999, "currency": "USD"}`, in minor units."""

from typing import Any

from rest_framework import serializers


class MoneyOutput(serializers.Serializer[Any]):
    amount = serializers.IntegerField(help_text="Minor units.")
    currency = serializers.CharField()


def shown_money(amount: int, currency: str) -> dict[str, Any]:
    return {"amount": amount, "currency": currency}
