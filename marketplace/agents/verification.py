"""Verified publishers: a domain says in a document of its own which agent it stands behind, and with which keys."""

import msgspec

from latentmas import outbound
from latentmas.events.statements import version_conflict
from latentmas.jobs.commands import start
from latentmas.jobs.models import Job
from latentmas.outbound import HOST, AddressRefused
from marketplace.agents.aggregate import AGENT
from marketplace.agents.errors import PublisherNotVerified
from marketplace.agents.models import Agent

VERIFY = "agent.verify"
PATH = "/.well-known/latentmas-publisher.json"


class Document(msgspec.Struct):
    """What a domain serves: the agent's id, and the base64 of its Ed25519 public keys."""

    agent: str
    keys: list[str]


def verify(agent: Agent, *, domain: str, requested_by: str, expected: int | None = None) -> Job:
    """Start the job that asks the domain. Raises AddressRefused, VersionConflict, Conflict or QueueUnavailable."""
    domain = domain.lower()
    if HOST.fullmatch(domain) is None:
        raise AddressRefused(f"{domain[:100]!r} is not the name of a host on the internet", field="domain")
    if expected is not None and expected != agent.stream_version:
        raise version_conflict(AGENT.stream(agent.id), expected=expected, current=agent.stream_version)
    return start(
        VERIFY,
        arguments={"agent_id": agent.id, "domain": domain, "expected": expected},
        requested_by=requested_by,
    )


def ask(agent_id: str, domain: str) -> list[str]:
    """Return the keys that the domain names for the agent.

    Raises AddressRefused, RemoteFailed or PublisherNotVerified.
    """
    url = f"https://{domain}{PATH}"
    answer = outbound.send("GET", url, headers={"Accept": "application/json"})
    if answer.status != 200:
        raise PublisherNotVerified(f"{url} answers with {answer.status}", domain=domain)
    try:
        document = msgspec.json.decode(answer.body, type=Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PublisherNotVerified(f"{url} is malformed: {error}"[:300], domain=domain) from error
    if document.agent != agent_id:
        raise PublisherNotVerified(f"{url} names another agent, {document.agent[:60]!r}", domain=domain)
    return document.keys
