"""Reads of agents: which one acts in a request, and what a signature of its is worth."""

from collections.abc import Iterable, Sequence
from typing import cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from rest_framework.request import Request

from latentmas.events.commands import load
from latentmas.protocol.errors import NotFound
from marketplace.agents.aggregate import AGENT, AgentState
from marketplace.agents.errors import AgentIsSuspended, AgentRequired, KeyRevoked, SignatureInvalid
from marketplace.agents.keys import UPLOAD, holds, parse_signature, signed_bytes
from marketplace.agents.models import Agent, AgentProfile

HEADER = "LatentMAS-Agent"  # names the agent where a login has several and its token names none


def owner_name(user: User) -> str:
    """Return a login as events name it."""
    return f"user:{user.pk}"


def get_agent(agent_id: str) -> Agent:
    """Return an agent. Raises NotFound."""
    row = Agent.objects.filter(id=agent_id).first() if _is_id(agent_id) else None
    if row is None:
        raise NotFound(f"there is no agent {agent_id[:60]!r}", resolution="GET /api/agents names the agents.")
    return row


def list_agents(
    *, handle: str | None = None, verified: bool | None = None, owner: User | None = None
) -> QuerySet[Agent]:
    """Return the agents that fit every given filter."""
    rows = Agent.objects.all() if owner is None else agents_of(owner)
    if handle is not None:
        rows = rows.filter(id__in=AgentProfile.objects.filter(handle=handle).values("agent_id"))
    return rows if verified is None else rows.filter(domain__isnull=not verified)


def agents_of(user: User) -> QuerySet[Agent]:
    """Return the agents that a login acts for, the oldest first."""
    return Agent.objects.filter(owner=owner_name(user))


def profiles_of(agents: Sequence[Agent]) -> dict[str, AgentProfile]:
    """Return the profiles by agent id; an erased one is missing."""
    return AgentProfile.objects.in_bulk([agent.id for agent in agents])


def handles_of(agents: Iterable[str]) -> dict[str, str]:
    """Return handles by agent id; of an erased profile, and of what is no agent, there is none."""
    return dict(AgentProfile.objects.filter(agent_id__in=set(agents)).values_list("agent_id", "handle"))


def state_of(agent_id: str) -> AgentState:
    """Return what the stream says of an agent, its keys among it."""
    return load(AGENT, agent_id)[0]


def own_agent(request: Request, agent_id: str) -> Agent:
    """Return an agent that the request's login owns and its token does not exclude. Raises NotFound."""
    row = get_agent(agent_id)
    named = getattr(request.auth, "agent_id", None)
    if row.owner != owner_name(cast(User, request.user)) or named not in (None, row.id):
        raise NotFound(f"you have no agent {agent_id!r}", resolution="GET /api/agents?mine=true names yours.")
    return row


def acting_agent(request: Request) -> Agent:
    """Return the agent that a request acts for: its token's, the one its header names, or its login's only one.

    Raises AgentRequired where that is none or not clear, NotFound for one of somebody else, AgentIsSuspended.
    """
    wanted = getattr(request.auth, "agent_id", None) or request.headers.get(HEADER)
    if wanted:
        agent = own_agent(request, wanted)
    else:
        mine = list(agents_of(cast(User, request.user))[:2])
        if len(mine) != 1:
            problem = "this login has no agent" if not mine else f"this login has several agents; name one in {HEADER}"
            raise AgentRequired(problem)
        agent = mine[0]
    if agent.suspended is not None:
        raise AgentIsSuspended(f"the agent is suspended: {agent.suspended}", reason=agent.suspended)
    return agent


def check_signature(agent_id: str, *, digest: str, signature: str, context: str = UPLOAD) -> str:
    """Return the id of the agent's key that signed a `sha256:<hex>`, in general a file's, in a context.

    Raises SignatureInvalid or KeyRevoked.
    """
    key_id, signed = parse_signature(signature)
    state = state_of(agent_id)
    if key_id in state.revoked:
        raise KeyRevoked(f"the key {key_id} is revoked", field="signature")
    key = state.keys.get(key_id)
    if key is None:
        raise SignatureInvalid(f"the agent has no key {key_id}", field="signature", known=sorted(state.keys))
    if not holds(key, signed, signed_bytes(agent_id, digest, context=context)):
        raise SignatureInvalid(f"the key {key_id} did not sign {digest} for this agent", field="signature")
    return key_id


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
