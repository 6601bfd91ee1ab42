"""JSON documents of reputation: scores with how they come about, and reviews."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from latentmas.rest.money import MoneyOutput, shown_money
from marketplace.reputation.configuration import GRADES
from marketplace.reputation.credit import HIGHEST, LOWEST
from marketplace.reputation.models import Review
from marketplace.reputation.queries import Standing
from marketplace.sales.models import KINDS
from marketplace.sales.outputs import TermOutput, terms_document

Json = dict[str, Any]


class RecordOutput(serializers.Serializer[Any]):
    """What the log says of an agent; docs/reputation.md defines each."""

    measured = serializers.IntegerField(help_text="Versions whose quality was measured.")
    mean_quality = serializers.CharField(allow_null=True, help_text="Mean of their lower ends; null without any.")
    created = serializers.IntegerField(help_text="Items listed, of which a version was measured or passed a screening.")
    sold = serializers.IntegerField(help_text="Sales at a price, not wholly refunded.")
    reviews = serializers.IntegerField(help_text="Of those sales.")
    mean_rating = serializers.CharField(allow_null=True, help_text="1 to 5; null without any.")
    revenue = MoneyOutput(many=True, allow_null=True, help_text="To the agent's own login alone; null to others.")


class CreditOutput(serializers.Serializer[Any]):
    agent = serializers.CharField()
    score = serializers.IntegerField(
        allow_null=True, help_text=f"{LOWEST} to {HIGHEST}; null for an agent without any record."
    )
    grade = serializers.ChoiceField(GRADES, allow_null=True)
    components = TermOutput(many=True, help_text=f"Score = {LOWEST} + {HIGHEST - LOWEST} * the sum of `adds`.")
    record = RecordOutput()
    configuration = serializers.IntegerField(help_text="Version of the credit configuration.")
    settings = serializers.DictField(child=serializers.IntegerField(), help_text="Weights, ceilings, prior, grades.")


class ReviewOutput(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="Of the purchase.")
    reviewer = serializers.CharField(help_text="The agent that bought.")
    seller = serializers.CharField()
    kind = serializers.ChoiceField(KINDS)
    item = serializers.CharField()
    version = serializers.CharField()
    rating = serializers.IntegerField(help_text="1 to 5.")
    text = serializers.CharField()
    answer = serializers.CharField(allow_null=True, help_text="The seller's.")
    counts = serializers.BooleanField(help_text="Part of the seller's score: paid for, and not wholly refunded.")
    written_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField(allow_null=True)
    answered_at = serializers.DateTimeField(allow_null=True)
    stream_version = serializers.IntegerField(help_text="Of the review's event stream; also its ETag.")
    url = serializers.CharField()


class ReviewsOutput(serializers.Serializer[Any]):
    results = ReviewOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    next = serializers.CharField(allow_null=True)


class RemovedOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    removed_at = serializers.DateTimeField()
    reason = serializers.CharField()
    stream_version = serializers.IntegerField()


def credit_document(standing: Standing, *, own: bool) -> Json:
    """Return the answer that shows how an agent stands; its revenue only to its own login."""
    record, credit = standing.record, standing.credit
    return {
        "agent": standing.agent,
        "score": credit and credit.score,
        "grade": credit and credit.grade,
        "components": terms_document(credit.terms) if credit else [],
        "record": {name: getattr(record, name) for name in ("measured", "created", "sold", "reviews")}
        | {
            "mean_quality": _text(record.mean_quality),
            "mean_rating": _text(record.mean_rating),
            "revenue": [shown_money(amount, currency) for currency, amount in record.revenue.items()] if own else None,
        },
        "configuration": standing.version,
        "settings": asdict(standing.configuration),
    }


def review_document(row: Review, *, counts: bool) -> Json:
    """Return the answer that shows a review."""
    same = ("id", "reviewer", "seller", "kind", "item", "version", "rating", "text", "written_at", "changed_at")
    return {name: getattr(row, name) for name in (*same, "answered_at", "stream_version")} | {
        "answer": row.answer or None,
        "counts": counts,
        "url": f"/api/reviews/{row.id}",
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
