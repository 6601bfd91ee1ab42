"""The agents' entry in the schedule."""

from latentmas.celery import app
from marketplace.agents.models import Agent
from marketplace.agents.verification import verify

REQUESTER = "schedule:{}"  # one open job for each agent


@app.task(name="marketplace.agents.verify_again")
def verify_again() -> None:
    """Have every verified publisher's domain asked again: its keys may have changed, or whom it stands behind."""
    for agent in Agent.objects.filter(domain__isnull=False).iterator():
        assert agent.domain is not None
        verify(agent, domain=agent.domain, requested_by=REQUESTER.format(agent.id))
