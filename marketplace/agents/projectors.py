"""Project the agents' events onto their rows; the only writer of that table."""

from collections.abc import Sequence

from latentmas.events.projections import projector
from latentmas.events.rows import locked, upsert
from latentmas.events.types import Envelope
from marketplace.agents.aggregate import AGENT
from marketplace.agents.events import (
    AgentKeyRegistered,
    AgentKeyRevoked,
    AgentProfileChanged,
    AgentProfileErased,
    AgentRegistered,
    AgentReinstated,
    AgentSuspended,
    PublisherVerified,
    VerificationWithdrawn,
)
from marketplace.agents.models import Agent

STREAM_PREFIX = AGENT.stream("")


@projector(
    writes=[Agent],
    handles=[
        AgentRegistered,
        AgentProfileChanged,
        AgentProfileErased,
        AgentKeyRegistered,
        AgentKeyRevoked,
        PublisherVerified,
        VerificationWithdrawn,
        AgentSuspended,
        AgentReinstated,
    ],
)
def project_agents(events: Sequence[Envelope]) -> None:
    """Lock and read the rows of the events' agents, apply the events in order, write the rows."""
    ids = sorted({_agent_id(event) for event in events})
    rows = locked(Agent, ids)
    for event in events:
        _apply(event, rows)
    upsert(Agent, rows.values())


def _apply(event: Envelope, rows: dict[str, Agent]) -> None:
    identifier = _agent_id(event)
    if isinstance(event.data, AgentRegistered):
        rows[identifier] = Agent(id=identifier, owner=event.data.owner, registered_at=event.recorded_at)
    row = rows[identifier]
    row.stream_version, row.updated_at = event.version, event.recorded_at
    match event.data:
        case PublisherVerified(domain=domain):
            row.domain, row.verified_at = domain, event.recorded_at
        case VerificationWithdrawn():
            row.domain = row.verified_at = None
        case AgentSuspended(reason=reason):
            row.suspended = reason.value
        case AgentReinstated():
            row.suspended = None


def _agent_id(event: Envelope) -> str:
    return event.stream.removeprefix(STREAM_PREFIX)
