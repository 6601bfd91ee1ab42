"""JSON documents of disputes and acceptances, as their parties see them."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from latentmas.rest.money import MoneyOutput, shown_money
from marketplace.claims.models import ACCEPTANCE_STATUSES, DISPUTE_STATUSES, KINDS, OUTCOMES, Acceptance, Dispute

Json = dict[str, Any]


class DisputeOutput(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="That of the purchase.")
    buyer = serializers.CharField()
    seller = serializers.CharField()
    kind = serializers.ChoiceField(KINDS)
    status = serializers.ChoiceField(DISPUTE_STATUSES)
    amount = MoneyOutput(help_text="What was left of the price.")
    reserved = MoneyOutput(allow_null=True, help_text="What is set aside of the seller's wallet; shown to it alone.")
    text = serializers.CharField(help_text="What the buyer wrote.")
    answer = serializers.CharField(allow_null=True, help_text="What the seller wrote.")
    outcome = serializers.ChoiceField(OUTCOMES, allow_null=True, help_text="What a curator decided.")
    reason = serializers.CharField(allow_null=True, help_text="Why.")
    refunded = MoneyOutput(allow_null=True, help_text="What the decision gave back.")
    opened_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    stream_version = serializers.IntegerField(help_text="Of the dispute's event stream; also its ETag.")
    purchase = serializers.CharField()
    url = serializers.CharField()


class DisputesOutput(serializers.Serializer[Any]):
    results = DisputeOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    next = serializers.CharField(allow_null=True)


class PromiseOutput(serializers.Serializer[Any]):
    mode = serializers.CharField(help_text="What the receiver knows of the text, as the certificate says it.")
    length = serializers.IntegerField(help_text="Tokens of context.")
    low = serializers.CharField(help_text="Decimal: the lower end that the certificate states of its worst register.")


class KeptOutput(serializers.Serializer[Any]):
    value = serializers.CharField(help_text="Decimal: the retention, pooled over the texts.")
    low = serializers.CharField(help_text="The lower end of its 95 % interval.")
    high = serializers.CharField(help_text="The upper end.")


class AcceptanceOutput(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="That of the quote, and of the purchase.")
    buyer = serializers.CharField()
    seller = serializers.CharField()
    item = serializers.CharField()
    version = serializers.CharField()
    status = serializers.ChoiceField(ACCEPTANCE_STATUSES)
    promise = PromiseOutput()
    named = serializers.IntegerField(help_text="How many texts were named.")
    counted = serializers.IntegerField(allow_null=True, help_text="How many of them were measured on.")
    scored_tokens = serializers.IntegerField(allow_null=True)
    kept = KeptOutput(allow_null=True)
    below = serializers.BooleanField(allow_null=True, help_text="Whether even the upper end is below the promise.")
    refunded = MoneyOutput(allow_null=True, help_text="What went back to the buyer at once.")
    code = serializers.CharField(allow_null=True, help_text="Of the error for which nothing was measured.")
    requested_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    purchase = serializers.CharField()
    url = serializers.CharField()


class AcceptancesOutput(serializers.Serializer[Any]):
    results = AcceptanceOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    next = serializers.CharField(allow_null=True)


def dispute_document(row: Dispute, written: Mapping[str, str], *, as_seller: bool) -> Json:
    """Return the answer that shows a dispute; `written` has its texts by their commitments."""
    same = ("id", "buyer", "seller", "kind", "status", "outcome", "opened_at", "ended_at", "stream_version")
    texts = {name: getattr(row, name) for name in ("text", "answer", "reason")}
    return (
        {name: getattr(row, name) for name in same}
        | {name: None if each is None else written[each] for name, each in texts.items()}
        | {
            "amount": shown_money(row.amount, row.currency),
            "reserved": shown_money(row.reserved, row.currency) if as_seller else None,
            "refunded": None if row.refunded is None else shown_money(row.refunded, row.currency),
            "purchase": f"/api/purchases/{row.id}",
            "url": f"/api/disputes/{row.id}",
        }
    )


def acceptance_document(row: Acceptance) -> Json:
    """Return the answer that shows an acceptance; the texts are in none."""
    same = ("id", "buyer", "seller", "item", "version", "status", "promise", "named", "counted", "scored_tokens")
    told = ("kept", "below", "code", "requested_at", "updated_at")
    return {name: getattr(row, name) for name in (*same, *told)} | {
        "refunded": None if row.refunded is None else shown_money(row.refunded, row.currency),
        "purchase": f"/api/purchases/{row.id}",
        "url": f"/api/acceptances/{row.id}",
    }
