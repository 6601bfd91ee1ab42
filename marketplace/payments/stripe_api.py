"""The address that Stripe sends its messages to."""

from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import (
    api_view,
    authentication_classes,
    parser_classes,
    permission_classes,
    throttle_classes,
)
from rest_framework.exceptions import Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from latentmas.rest.endpoints import problems
from latentmas.rest.throttles import ANONYMOUS_COMPUTING, spend
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.payments.errors import GatewayNotOffered, WebhookRefused
from marketplace.payments.stripe_messages import act_on, message_in

SIGNATURE = OpenApiParameter("Stripe-Signature", OpenApiTypes.STR, OpenApiParameter.HEADER)


class ReceivedOutput(serializers.Serializer[Any]):
    received = serializers.BooleanField()


@extend_schema(
    operation_id="payments_stripe_webhook",
    parameters=[SIGNATURE],
    request={"application/json": OpenApiTypes.OBJECT},
    responses={200: ReceivedOutput, **problems(400)},
)
@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
@throttle_classes([])
@parser_classes([BoundedJSONParser])
def stripe_webhook(request: Request) -> Response:
    """Take a message of Stripe's, signed with the endpoint's secret; one that comes twice changes nothing.

    It is not throttled, but for messages whose signature does not hold.
    """
    if not settings.STRIPE_WEBHOOK_SECRETS:
        raise GatewayNotOffered("this server takes no payments by Stripe", offered=[])
    body = request._request.body  # as it was signed
    try:
        kind = message_in(body, request.headers.get(SIGNATURE.name), settings.STRIPE_WEBHOOK_SECRETS)
    except WebhookRefused:
        budget = spend(ANONYMOUS_COMPUTING, f"address:{BaseThrottle().get_ident(request)}")
        if budget is not None and budget.exceeded:
            raise Throttled(budget.resets) from None
        raise
    act_on(kind, body)
    return Response({"received": True})
