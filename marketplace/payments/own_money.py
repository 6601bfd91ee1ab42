"""Nobody decides about his own money."""

from latentmas.events.types import Metadata
from marketplace.agents.queries import get_agent
from marketplace.payments.errors import OwnMoney


def check_not_own(agent_id: str, metadata: Metadata) -> None:
    """Raises OwnMoney where the actor is the login that acts for the agent, NotFound for an unknown agent."""
    if get_agent(agent_id).owner == metadata.actor:
        raise OwnMoney(f"you act for the agent {agent_id} yourself")
