"""REST for who works on a listing, and who asks for its files."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.rest.conditional import versioned
from latentmas.rest.endpoints import problems
from latentmas.rest.parameters import StrictSerializer, object_in, read
from latentmas.rest.permissions import PublishWMatrices, ScopePermission, WritePurchases
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.queries import acting_agent, get_agent
from marketplace.listings.events.lifecycle import Role
from marketplace.listings.lifecycle import commands
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.models import ListingMember
from marketplace.listings.models import Request as AccessRequest
from marketplace.listings.queries import managed_listing
from marketplace.listings.rest.lifecycle_api import answer, as_agent, changing, metadata_of
from marketplace.texts.checks import REASON_CHARACTERS

DECISIONS = [AccessRequest.GRANTED.value, AccessRequest.REFUSED.value]
READ = problems(409)  # no agent, or several


class RoleInput(StrictSerializer):
    role = serializers.ChoiceField([role.value for role in Role])


class AskInput(StrictSerializer):
    message = serializers.CharField(max_length=REASON_CHARACTERS, required=False, default="")


class DecisionInput(StrictSerializer):
    decision = serializers.ChoiceField(DECISIONS)
    reason = serializers.CharField(max_length=REASON_CHARACTERS, required=False, help_text="Of a refusal.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["decision"] == AccessRequest.REFUSED and "reason" not in attrs:
            raise serializers.ValidationError({"reason": "a refusal needs its reason"})
        return attrs


class CollaboratorOutput(serializers.Serializer[Any]):
    agent = serializers.CharField()
    role = serializers.ChoiceField(["owner", *(role.value for role in Role)])
    changed_at = serializers.DateTimeField()


class CollaboratorsOutput(serializers.Serializer[Any]):
    results = CollaboratorOutput(many=True)


class AccessRequestOutput(serializers.Serializer[Any]):
    agent = serializers.CharField()
    state = serializers.ChoiceField(AccessRequest.values)
    message = serializers.CharField(help_text="Of the request, or the reason of its refusal.")
    changed_at = serializers.DateTimeField()


class AccessRequestsOutput(serializers.Serializer[Any]):
    results = AccessRequestOutput(many=True)


class SellOrBuy(ScopePermission):
    """Sellers look at requests with `w-matrices:publish`; buyers ask with `purchases:write`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        self.scope = (PublishWMatrices if request.method in SAFE_METHODS else WritePurchases).scope
        return super().has_permission(request, view)


@extend_schema(operation_id="w_matrices_collaborators", responses={200: CollaboratorsOutput} | READ)
@api_view(["GET"])
@permission_classes([PublishWMatrices])
def collaborators(request: Request, listing_id: str) -> Response:
    """Return who owns a listing of yours and who works on it."""
    row = managed_listing(listing_id, acting_agent(request).id)
    members = [each for each in _members(row.id) if each.owner or each.role is not None]
    shown = [{"agent": each.agent, "role": each.role or "owner", "changed_at": each.changed_at} for each in members]
    return versioned(Response({"results": shown}), row.stream_version)


@changing(
    PUT=("w_matrices_set_collaborator", RoleInput),
    DELETE=("w_matrices_remove_collaborator", None),
)
def collaborator(request: Request, listing_id: str, agent_id: str) -> Response:
    """Give an agent a role in a listing, or take it away."""
    if request.method == "DELETE":
        commands.remove_collaborator(listing_id, who=agent_id, by=as_agent(request))
    else:
        role = Role(read(object_in(request), RoleInput)["role"])
        commands.add_collaborator(listing_id, who=get_agent(agent_id).id, role=role, by=as_agent(request))
    return answer(listing_id)


@extend_schema(methods=["GET"], operation_id="w_matrices_access_requests", responses={200: AccessRequestsOutput} | READ)
@extend_schema(
    methods=["POST"],
    operation_id="w_matrices_request_access",
    parameters=[PARAMETER],
    request=AskInput,
    responses={201: AccessRequestOutput} | problems(410),
)
@api_view(["GET", "POST"])
@permission_classes([SellOrBuy])
@parser_classes([BoundedJSONParser])
@idempotent()
def access_requests(request: Request, listing_id: str) -> Response:
    """List the requests for the files of a listing of yours, or ask for those of a gated one as your agent."""
    agent = acting_agent(request).id
    if request.method == "GET":
        row = managed_listing(listing_id, agent)
        shown = [_shown(each) for each in _members(row.id) if each.request is not None]
        return versioned(Response({"results": shown}), row.stream_version)
    commands.request_access(listing_id, by=By(agent, metadata_of(request)), **read(object_in(request), AskInput))
    return Response(_shown(ListingMember.objects.get(id=f"{listing_id}/{agent}")), status=201)


@changing(PUT=("w_matrices_decide_access", DecisionInput))
def access_request(request: Request, listing_id: str, agent_id: str) -> Response:
    """Grant an agent the files of a listing of yours, whether it asked or not; refuse it, or withdraw the grant."""
    wanted, by = read(object_in(request), DecisionInput), as_agent(request)
    if wanted["decision"] == AccessRequest.GRANTED:
        commands.grant_access(listing_id, who=get_agent(agent_id).id, by=by)
    else:
        commands.refuse_access(listing_id, who=agent_id, reason=wanted["reason"], by=by)
    return answer(listing_id)


def _members(listing_id: str) -> QuerySet[ListingMember]:
    return ListingMember.objects.filter(listing_id=listing_id).order_by("changed_at", "agent")


def _shown(row: ListingMember) -> dict[str, Any]:
    return {"agent": row.agent, "state": row.request, "message": row.message, "changed_at": row.changed_at}
