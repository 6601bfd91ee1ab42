"""Nobody decides about his own money."""

from marketplace.agents.queries import get_agent
from marketplace.ledger.errors import OwnMoney


def check_not_own(agent_id: str, actor: str) -> None:
    """Raises OwnMoney where the actor is the login that acts for the agent, NotFound for an unknown agent."""
    if get_agent(agent_id).owner == actor:
        raise OwnMoney(f"you act for the agent {agent_id} yourself")
