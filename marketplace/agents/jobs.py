"""The job that asks a publisher's domain. It runs again weekly for every verified one."""

from datetime import timedelta

from latentmas.events.types import Metadata
from latentmas.jobs.handlers import Json, Queue, Run, handler
from marketplace.agents.commands import verify_publisher, withdraw_verification
from marketplace.agents.errors import PublisherNotVerified
from marketplace.agents.events import WithdrawalReason
from marketplace.agents.queries import state_of
from marketplace.agents.verification import VERIFY, ask


@handler(VERIFY, queue=Queue.LIGHT, deadline=timedelta(minutes=10))
def verify(run: Run) -> Json:
    """Record what the domain's document says; where it no longer names the agent, end a verification by this domain.

    A domain that does not answer ends nothing. Raises LatentMASError.
    """
    agent_id, domain = run.arguments["agent_id"], run.arguments["domain"]
    before, metadata = state_of(agent_id), Metadata(actor=run.requested_by)
    try:
        keys = ask(agent_id, domain)
    except PublisherNotVerified:
        if before.domain == domain:
            withdraw_verification(agent_id, reason=WithdrawalReason.DOMAIN_CHANGED, metadata=metadata)
        raise
    if (before.domain, list(before.domain_keys.values())) != (domain, keys):  # a worker that died may have recorded it
        expected = run.arguments["expected"]
        verify_publisher(agent_id, domain=domain, public_keys=keys, metadata=metadata, expected=expected)
    return {"agent_id": agent_id, "domain": domain, "url": f"/api/agents/{agent_id}"}
