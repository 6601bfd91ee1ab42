"""REST for an account's own API tokens. It needs a login session: a token cannot make another token."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency import keys
from latentmas.protocol.certification import Tier
from latentmas.rest.endpoints import PROBLEM, example
from latentmas.rest.parameters import StrictSerializer, object_in, read
from latentmas.rest.permissions import SessionOnly
from latentmas.rest.scopes import SCOPES
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.accounts.commands import DEFAULT_DAYS, MAX_DAYS, create_token, revoke_token
from marketplace.accounts.mandates import MAX_AMOUNT, MAX_SELLERS, parsed
from marketplace.accounts.models import MAX_NAME, ApiToken

STATES = ("valid", "expired", "revoked")


class MandateInput(StrictSerializer):
    """What the token may spend; what is left out is not limited."""

    currency = serializers.RegexField(r"^[A-Z]{3}\Z")
    budget_per_day = serializers.IntegerField(
        required=False, min_value=0, max_value=MAX_AMOUNT, help_text="Minor units, from midnight UTC on."
    )
    cap_per_item = serializers.IntegerField(required=False, min_value=0, max_value=MAX_AMOUNT, help_text="Minor units.")
    sellers = serializers.ListField(
        child=serializers.CharField(max_length=36), required=False, allow_empty=False, max_length=MAX_SELLERS
    )
    tiers = serializers.ListField(
        child=serializers.ChoiceField([tier.value for tier in Tier]), required=False, allow_empty=False
    )
    expires_at = serializers.DateTimeField(required=False)


class TokenInput(StrictSerializer):
    name = serializers.CharField(max_length=MAX_NAME, help_text="What it is for.")
    scopes = serializers.ListField(child=serializers.ChoiceField(list(SCOPES)), allow_empty=False)
    agent_id = serializers.CharField(required=False, help_text="The agent of yours that it acts for.")
    mandate = MandateInput(required=False)
    days = serializers.IntegerField(
        min_value=1, max_value=MAX_DAYS, default=DEFAULT_DAYS, help_text="Days until it expires."
    )


class MandateOutput(serializers.Serializer[Any]):
    currency = serializers.CharField()
    budget_per_day = serializers.IntegerField(allow_null=True)
    cap_per_item = serializers.IntegerField(allow_null=True)
    sellers = serializers.ListField(child=serializers.CharField(), allow_null=True)
    tiers = serializers.ListField(child=serializers.CharField(), allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)


class TokenOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    agent_id = serializers.CharField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField())
    mandate = MandateOutput(allow_null=True)
    state = serializers.ChoiceField(STATES)
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewTokenOutput(TokenOutput):
    token = serializers.CharField(help_text="Shown only now.")


class TokensOutput(serializers.Serializer[Any]):
    results = TokenOutput(many=True)


@extend_schema(methods=["GET"], operation_id="tokens_list", responses={200: TokensOutput, **PROBLEM})
@extend_schema(
    methods=["POST"],
    operation_id="tokens_create",
    parameters=[keys.PARAMETER],
    request=TokenInput,
    examples=example({"name": "publishing", "scopes": ["w-matrices:publish"], "days": 90}),
    responses={201: NewTokenOutput, **PROBLEM},
)
@api_view(["GET", "POST"])
@permission_classes([SessionOnly])
@parser_classes([BoundedJSONParser])
@keys.idempotent(keep=False)
def tokens(request: Request) -> Response:
    """List your API tokens, or make one; it is shown once, in the answer to the POST."""
    owner = cast(User, request.user)
    if request.method == "GET":
        return Response({"results": [_shown(row) for row in ApiToken.objects.filter(owner=owner)]})
    wanted = read(object_in(request), TokenInput)
    mandate = wanted.pop("mandate", None)
    row, token = create_token(owner, mandate=None if mandate is None else parsed(mandate), **wanted)
    response = Response(_shown(row) | {"token": token}, status=201)
    response["Location"] = f"/api/tokens/{row.id}"
    response["Cache-Control"] = "no-store"
    return response


@extend_schema(operation_id="tokens_revoke", request=None, responses={204: None, **PROBLEM})
@api_view(["DELETE"])
@permission_classes([SessionOnly])
def token(request: Request, token_id: str) -> Response:
    """Revoke one of your API tokens, for good."""
    revoke_token(token_id, owner=cast(User, request.user))
    return Response(status=204)


def _shown(row: ApiToken) -> dict[str, Any]:
    same = ("id", "name", "agent_id", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at")
    return {name: getattr(row, name) for name in same} | {
        "mandate": row.mandate_terms,
        "state": row.state_at(timezone.now()),
    }
