"""What requests about top-ups and payouts may say, and what answers show."""

from typing import Any

from rest_framework import serializers

from latentmas.rest.money import MoneyOutput, shown_money
from latentmas.rest.parameters import StrictSerializer
from marketplace.payments.events import FailureCause
from marketplace.payments.models import Payout, TopUp
from marketplace.payments.payout_aggregate import PayoutStatus
from marketplace.payments.payout_commands import MAX_DESTINATION
from marketplace.payments.queries import masked
from marketplace.payments.top_up_aggregate import TopUpStatus
from marketplace.payments.top_up_commands import MAX_AMOUNT, MIN_AMOUNT

MAX_LIMIT = 100
DEFAULT_LIMIT = 25
TOP_UP_STATUSES = [each.value for each in TopUpStatus]
PAYOUT_STATUSES = [each.value for each in PayoutStatus]


class AmountInput(StrictSerializer):
    amount = serializers.IntegerField(min_value=MIN_AMOUNT, max_value=MAX_AMOUNT, help_text="Minor units.")
    currency = serializers.RegexField(r"^[A-Z]{3}\Z")


class TopUpInput(AmountInput):
    gateway = serializers.CharField(max_length=20, help_text="How it is paid: `manual`, or one that is configured.")


class PayoutInput(AmountInput):
    destination = serializers.CharField(
        max_length=MAX_DESTINATION, help_text="Where it is to be sent, such as an IBAN; only curators read it in full."
    )


class PageInput(StrictSerializer):
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    cursor = serializers.CharField(required=False)


class PageOutput(serializers.Serializer[Any]):
    next_cursor = serializers.CharField(allow_null=True)
    next = serializers.CharField(allow_null=True)


class TopUpOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    agent_id = serializers.CharField()
    gateway = serializers.CharField()
    amount = MoneyOutput()
    status = serializers.ChoiceField(TOP_UP_STATUSES)
    returned = MoneyOutput(help_text="What the gateway has taken back.")
    failure = serializers.ChoiceField([each.value for each in FailureCause], allow_null=True)
    requested_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    url = serializers.CharField()


class NewTopUpOutput(TopUpOutput):
    next_step = serializers.DictField(
        help_text="What the payer does now, by its `kind`: `transfer`, `confirm` or `page`. In this answer only."
    )


class TopUpsOutput(PageOutput):
    results = TopUpOutput(many=True)


class PayoutOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    agent_id = serializers.CharField()
    amount = MoneyOutput()
    destination = serializers.CharField(help_text="Its last characters.")
    status = serializers.ChoiceField(PAYOUT_STATUSES)
    requested_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    version = serializers.IntegerField(help_text="Also its ETag.")
    url = serializers.CharField()


class PayoutsOutput(PageOutput):
    results = PayoutOutput(many=True)


def shown_top_up(row: TopUp) -> dict[str, Any]:
    same = ("id", "agent_id", "gateway", "status", "failure", "requested_at", "updated_at")
    return {name: getattr(row, name) for name in same} | {
        "amount": shown_money(row.amount, row.currency),
        "returned": shown_money(row.returned, row.currency),
        "url": f"/api/top-ups/{row.id}",
    }


def shown_payout(row: Payout, destination: str) -> dict[str, Any]:
    same = ("id", "agent_id", "status", "requested_at", "updated_at")
    return {name: getattr(row, name) for name in same} | {
        "amount": shown_money(row.amount, row.currency),
        "destination": masked(destination),
        "version": row.stream_version,
        "url": f"/api/payouts/{row.id}",
    }
