"""REST for agents' accounts: register one, look at one, change your own, its keys."""

from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.events.types import Metadata
from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.jobs.api import JobOutput, job_answer
from latentmas.rest.conditional import IF_MATCH, expected_version, versioned
from latentmas.rest.cursors import page_document, page_of
from latentmas.rest.endpoints import ANYBODY, PROBLEM, example
from latentmas.rest.parameters import StrictSerializer, object_in, read, read_query
from latentmas.rest.permissions import ScopePermission, WriteAgents, requester
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents import commands, queries
from marketplace.agents.commands import Profile
from marketplace.agents.events import WithdrawalReason
from marketplace.agents.models import (
    MAX_DESCRIPTION,
    MAX_DISPLAY_NAME,
    MAX_DOMAIN,
    MAX_HANDLE,
    Agent,
    AgentProfile,
)
from marketplace.agents.verification import verify

MAX_LIMIT = 100
DEFAULT_LIMIT = 25


class ReadOrWriteAgents(ScopePermission):
    """Everybody may look; a change asks for `agents:write`."""

    scope = WriteAgents.scope

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method in SAFE_METHODS or super().has_permission(request, view)


class ProfileInput(StrictSerializer):
    handle = serializers.CharField(max_length=MAX_HANDLE, help_text="Unique: lower-case letters, digits, hyphens.")
    display_name = serializers.CharField(max_length=MAX_DISPLAY_NAME)
    description = serializers.CharField(max_length=MAX_DESCRIPTION, default="")


class KeyInput(StrictSerializer):
    public_key = serializers.CharField(max_length=60, help_text="Base64 of the 32 bytes of an Ed25519 public key.")


class VerificationInput(StrictSerializer):
    domain = serializers.CharField(max_length=MAX_DOMAIN, help_text="It serves /.well-known/latentmas-publisher.json.")


class AgentsInput(StrictSerializer):
    handle = serializers.CharField(required=False)
    verified = serializers.BooleanField(required=False, allow_null=True, default=None)
    mine = serializers.BooleanField(default=False, help_text="Only those that your login acts for.")
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    cursor = serializers.CharField(required=False)


class AgentOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    handle = serializers.CharField(allow_null=True, help_text="Null where the profile was erased.")
    display_name = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    verified = serializers.BooleanField()
    domain = serializers.CharField(allow_null=True, help_text="Of a verified publisher.")
    verified_at = serializers.DateTimeField(allow_null=True)
    suspended = serializers.CharField(allow_null=True, help_text="Why, if it is.")
    registered_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    version = serializers.IntegerField(help_text="Version of the agent's event stream; also its ETag.")
    url = serializers.CharField()


class AgentKeyOutput(serializers.Serializer[Any]):
    key_id = serializers.CharField()
    public_key = serializers.CharField()
    from_domain = serializers.BooleanField()


class AgentDetailOutput(AgentOutput):
    keys = AgentKeyOutput(many=True)
    revoked_keys = serializers.ListField(child=serializers.CharField())


class AgentsOutput(serializers.Serializer[Any]):
    results = AgentOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    next = serializers.CharField(allow_null=True)


@extend_schema(
    methods=["GET"],
    operation_id="agents_list",
    auth=ANYBODY,
    parameters=[AgentsInput],
    responses={200: AgentsOutput, **PROBLEM},
)
@extend_schema(
    methods=["POST"],
    operation_id="agents_create",
    parameters=[PARAMETER],
    request=ProfileInput,
    examples=example({"handle": "ada-maps", "display_name": "Ada", "description": "Maps between small models."}),
    responses={201: AgentDetailOutput, **PROBLEM},
)
@api_view(["GET", "POST"])
@permission_classes([ReadOrWriteAgents])
@parser_classes([BoundedJSONParser])
@idempotent()
def agents(request: Request) -> Response:
    """List agents, or register one that your login acts for."""
    if request.method == "POST":
        profile = Profile(**read(object_in(request), ProfileInput))
        agent = commands.register_agent(cast(User, request.user), profile, metadata=metadata_of(request))
        response = _answer(agent, status=201)
        response["Location"] = f"/api/agents/{agent.id}"
        return response
    wanted = read_query(request, AgentsInput)
    if wanted["mine"] and not request.user.is_authenticated:
        raise NotAuthenticated
    owner = cast(User, request.user) if wanted["mine"] else None
    found = queries.list_agents(handle=wanted.get("handle"), verified=wanted["verified"], owner=owner)
    page = page_of(found, order=("id",), limit=wanted["limit"], cursor=wanted.get("cursor"))
    profiles = queries.profiles_of(page.rows)
    return Response(page_document(request, page, lambda row: shown(row, profiles.get(row.id))))


@extend_schema(
    methods=["GET"], operation_id="agents_retrieve", auth=ANYBODY, responses={200: AgentDetailOutput, **PROBLEM}
)
@extend_schema(
    methods=["PUT"],
    operation_id="agents_change",
    parameters=[IF_MATCH],
    request=ProfileInput,
    responses={200: AgentDetailOutput, **PROBLEM},
)
@api_view(["GET", "PUT"])
@permission_classes([ReadOrWriteAgents])
@parser_classes([BoundedJSONParser])
def agent(request: Request, agent_id: str) -> Response:
    """Return an agent with the keys that it may sign with, or replace your own one's profile (`If-Match`)."""
    if request.method == "GET":
        return _answer(queries.get_agent(agent_id))
    commands.change_profile(
        queries.own_agent(request, agent_id).id,
        Profile(**read(object_in(request), ProfileInput)),
        metadata=metadata_of(request),
        expected=expected_version(request),
    )
    return _answer(queries.get_agent(agent_id))


@extend_schema(
    operation_id="agents_add_key",
    parameters=[PARAMETER, IF_MATCH],
    request=KeyInput,
    responses={201: AgentDetailOutput, **PROBLEM},
)
@api_view(["POST"])
@permission_classes([WriteAgents])
@parser_classes([BoundedJSONParser])
@idempotent()
def keys(request: Request, agent_id: str) -> Response:
    """Register an Ed25519 key that your agent signs its uploads with (`If-Match`)."""
    commands.register_key(
        queries.own_agent(request, agent_id).id,
        public_key=read(object_in(request), KeyInput)["public_key"],
        metadata=metadata_of(request),
        expected=expected_version(request),
    )
    return _answer(queries.get_agent(agent_id), status=201)


@extend_schema(
    operation_id="agents_revoke_key",
    parameters=[IF_MATCH],
    request=None,
    responses={200: AgentDetailOutput, **PROBLEM},
)
@api_view(["DELETE"])
@permission_classes([WriteAgents])
def key(request: Request, agent_id: str, key_id: str) -> Response:
    """Revoke a key of your agent's for good (`If-Match`); what it signed before stays on record."""
    commands.revoke_key(
        queries.own_agent(request, agent_id).id,
        key_id=key_id,
        metadata=metadata_of(request),
        expected=expected_version(request),
    )
    return _answer(queries.get_agent(agent_id))


@extend_schema(
    methods=["POST"],
    operation_id="agents_verify",
    parameters=[PARAMETER, IF_MATCH],
    request=VerificationInput,
    responses={202: JobOutput, **PROBLEM},
)
@extend_schema(
    methods=["DELETE"],
    operation_id="agents_withdraw_verification",
    parameters=[IF_MATCH],
    request=None,
    responses={200: AgentDetailOutput, **PROBLEM},
)
@api_view(["POST", "DELETE"])
@permission_classes([WriteAgents])
@parser_classes([BoundedJSONParser])
@idempotent()
def verification(request: Request, agent_id: str) -> Response:
    """Have a domain asked whether it stands behind your agent (a job), or give the verification up (`If-Match`)."""
    row, seen = queries.own_agent(request, agent_id), expected_version(request)
    if request.method == "POST":
        domain = read(object_in(request), VerificationInput)["domain"]
        return job_answer(verify(row, domain=domain, requested_by=requester(request), expected=seen), status=202)
    commands.withdraw_verification(
        row.id, reason=WithdrawalReason.OWN_REQUEST, metadata=metadata_of(request), expected=seen
    )
    return _answer(queries.get_agent(agent_id))


def shown(row: Agent, profile: AgentProfile | None) -> dict[str, Any]:
    same = ("id", "verified", "domain", "verified_at", "suspended", "registered_at", "updated_at")
    written = ("handle", "display_name", "description")
    return (
        {name: getattr(row, name) for name in same}
        | {name: getattr(profile, name, None) for name in written}
        | {"version": row.stream_version, "url": f"/api/agents/{row.id}"}
    )


def _answer(row: Agent, *, status: int = 200) -> Response:
    state = queries.state_of(row.id)
    document = shown(row, queries.profiles_of([row]).get(row.id)) | {
        "keys": [
            {"key_id": key_id, "public_key": key, "from_domain": key_id in state.domain_keys}
            for key_id, key in sorted(state.keys.items())
        ],
        "revoked_keys": sorted(state.revoked),
    }
    return versioned(Response(document, status=status), row.stream_version)


def metadata_of(request: Request) -> Metadata:
    return Metadata(actor=requester(request))
