"""REST for an account's own webhooks. Secrets are shown when they are made, and never again."""

from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.outbound import MAX_URL
from latentmas.rest.conditional import IF_MATCH, expected_version, versioned
from latentmas.rest.endpoints import PROBLEM, example
from latentmas.rest.parameters import StrictSerializer, object_in, read
from latentmas.rest.permissions import WriteWebhooks
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.webhooks import commands
from marketplace.webhooks.models import Webhook

MAX_TYPES = 100
SHOWN = (
    "id",
    "url",
    "types",
    "agent_id",
    "enabled",
    "disabled_because",
    "position",
    "failures",
    "last_error",
    "next_attempt_at",
    "delivered_at",
    "created_at",
    "version",
)


class NewWebhookInput(StrictSerializer):
    url = serializers.CharField(max_length=MAX_URL, help_text="https, on port 443, of a public host.")
    types = serializers.ListField(
        child=serializers.CharField(max_length=100), allow_empty=False, max_length=MAX_TYPES, help_text="Of events."
    )


class WebhookInput(NewWebhookInput):
    enabled = serializers.BooleanField(default=True)


class ReplayInput(StrictSerializer):
    after = serializers.IntegerField(min_value=0, help_text="Position in the log.")


class WebhookOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    url = serializers.CharField()
    types = serializers.ListField(child=serializers.CharField())
    agent_id = serializers.CharField(allow_null=True, help_text="Of the token that made it, if that names an agent.")
    enabled = serializers.BooleanField()
    disabled_because = serializers.CharField()
    position = serializers.IntegerField(help_text="In the log: up to it, everything was taken.")
    failures = serializers.IntegerField(help_text="In a row.")
    last_error = serializers.CharField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    version = serializers.IntegerField(help_text="Also its ETag.")


class NewWebhookOutput(WebhookOutput):
    secret = serializers.CharField(help_text="Shown only now; messages are signed with it.")


class WebhooksOutput(serializers.Serializer[Any]):
    results = WebhookOutput(many=True)


@extend_schema(methods=["GET"], operation_id="webhooks_list", responses={200: WebhooksOutput, **PROBLEM})
@extend_schema(
    methods=["POST"],
    operation_id="webhooks_create",
    parameters=[PARAMETER],
    request=NewWebhookInput,
    examples=example({"url": "https://hooks.example/latentmas", "types": ["listing.version_certified"]}),
    responses={201: NewWebhookOutput, **PROBLEM},
)
@api_view(["GET", "POST"])
@permission_classes([WriteWebhooks])
@parser_classes([BoundedJSONParser])
@idempotent(keep=False)
def webhooks(request: Request) -> Response:
    """List your webhooks, or make one; it is sent what happens from then on. Its secret is in this answer only."""
    owner = cast(User, request.user)
    if request.method == "GET":
        return Response({"results": [shown(row) for row in commands.webhooks_of(owner)]})
    wanted = read(object_in(request), NewWebhookInput)
    row, secret = commands.create_webhook(owner, agent_id=getattr(request.auth, "agent_id", None), **wanted)
    return _with_secret(row, secret, status=201)


@extend_schema(methods=["GET"], operation_id="webhooks_retrieve", responses={200: WebhookOutput, **PROBLEM})
@extend_schema(
    methods=["PUT"],
    operation_id="webhooks_change",
    parameters=[IF_MATCH],
    request=WebhookInput,
    responses={200: WebhookOutput, **PROBLEM},
)
@extend_schema(methods=["DELETE"], operation_id="webhooks_delete", request=None, responses={204: None, **PROBLEM})
@api_view(["GET", "PUT", "DELETE"])
@permission_classes([WriteWebhooks])
@parser_classes([BoundedJSONParser])
def webhook(request: Request, webhook_id: str) -> Response:
    """Return one of your webhooks, replace its address, types and whether it is enabled (`If-Match`), or delete it."""
    owner = cast(User, request.user)
    if request.method == "DELETE":
        commands.delete_webhook(owner, webhook_id)
        return Response(status=204)
    if request.method == "GET":
        row = commands.get_webhook(owner, webhook_id)
    else:
        wanted = read(object_in(request), WebhookInput)
        row = commands.change_webhook(owner, webhook_id, expected=expected_version(request), **wanted)
    return versioned(Response(shown(row)), row.version)


@extend_schema(
    operation_id="webhooks_rotate_secret",
    parameters=[PARAMETER, IF_MATCH],
    request=None,
    responses={201: NewWebhookOutput, **PROBLEM},
)
@api_view(["POST"])
@permission_classes([WriteWebhooks])
@parser_classes([BoundedJSONParser])
@idempotent(keep=False)
def secret(request: Request, webhook_id: str) -> Response:
    """Give a webhook a new secret (`If-Match`); for a day its messages carry the former one's signature too."""
    row, made = commands.rotate_secret(cast(User, request.user), webhook_id, expected=expected_version(request))
    return _with_secret(row, made, status=201)


@extend_schema(
    operation_id="webhooks_replay",
    parameters=[PARAMETER, IF_MATCH],
    request=ReplayInput,
    responses={200: WebhookOutput, **PROBLEM},
)
@api_view(["POST"])
@permission_classes([WriteWebhooks])
@parser_classes([BoundedJSONParser])
@idempotent()
def replay(request: Request, webhook_id: str) -> Response:
    """Send a webhook everything after a position of the log, again or for the first time (`If-Match`)."""
    row = commands.replay(
        cast(User, request.user),
        webhook_id,
        after=read(object_in(request), ReplayInput)["after"],
        expected=expected_version(request),
    )
    return versioned(Response(shown(row)), row.version)


def shown(row: Webhook) -> dict[str, Any]:
    return {name: getattr(row, name) for name in SHOWN}


def _with_secret(row: Webhook, secret: str, *, status: int) -> Response:
    response = versioned(Response(shown(row) | {"secret": secret}, status=status), row.version)
    response["Location"] = f"/api/webhooks/{row.id}"
    response["Cache-Control"] = "no-store"
    return response
