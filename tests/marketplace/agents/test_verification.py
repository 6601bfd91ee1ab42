"""Verified publishers: what their domains serve, and what does not make one."""

import base64
import json

import pytest

from latentmas.events.models import Event
from latentmas.jobs.models import Job
from marketplace.agents.commands import verify_publisher
from marketplace.agents.models import Agent
from marketplace.agents.queries import state_of
from marketplace.agents.tasks import verify_again
from marketplace.agents.verification import PATH
from tests.marketplace.sample import METADATA
from tests.work import work

pytestmark = pytest.mark.django_db
DOMAIN = "publisher.example"


@pytest.fixture(autouse=True)
def _served(remote, agent, public_key):
    serve(remote, agent=agent.id, keys=[public_key])


def serve(remote, **document):
    remote.body = json.dumps(document).encode()


def ask(writer, agent, domain=DOMAIN, version='"1"'):
    return writer.post(
        f"/api/agents/{agent.id}/verification", {"domain": domain}, "application/json", headers={"If-Match": version}
    )


def outcome():
    (job,) = work()
    return job.problem["code"] if job.problem else job.result


def test_a_domain_that_names_the_agent_makes_it_a_verified_publisher(writer, agent, remote, public_key):
    started = ask(writer, agent, domain="Publisher.Example")
    assert (started.status_code, Agent.objects.get().verified) == (202, False)
    assert outcome() == {"agent_id": agent.id, "domain": DOMAIN, "url": f"/api/agents/{agent.id}"}
    assert remote.asked[0].path == PATH
    shown = writer.get(f"/api/agents/{agent.id}").json()
    assert (shown["verified"], shown["domain"]) == (True, DOMAIN)
    assert [(key["public_key"], key["from_domain"]) for key in shown["keys"]] == [(public_key, True)]


def test_nothing_is_asked_in_the_request_itself(writer, agent, remote):
    ask(writer, agent)
    assert not remote.resolved


def test_a_domain_that_leads_to_a_private_address_verifies_nobody(writer, agent, remote):
    remote.resolves_to = ["10.0.0.7"]
    ask(writer, agent)
    assert outcome() == "ADDRESS_REFUSED"
    assert not remote.connected_to
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("served", "code"),
    [
        ({"body": b"not json"}, "PUBLISHER_NOT_VERIFIED"),
        ({"body": b"[" * 60_000}, "PUBLISHER_NOT_VERIFIED"),
        ({"body": b'{"keys": []}'}, "PUBLISHER_NOT_VERIFIED"),
        ({"body": json.dumps({"agent": "another", "keys": ["x"]}).encode()}, "PUBLISHER_NOT_VERIFIED"),
        ({"status": 404}, "PUBLISHER_NOT_VERIFIED"),
        ({"status": 302, "headers": {"Location": "https://hooks.example/"}}, "PUBLISHER_NOT_VERIFIED"),
        ({"body": b"x" * 100_000}, "REMOTE_FAILED"),
    ],
    ids=["no JSON", "deep JSON", "no agent", "another agent", "404", "a redirect", "too long"],
)
def test_what_a_domain_serves_instead_verifies_nobody(writer, agent, remote, served, code):
    for name, value in served.items():
        setattr(remote, name, value)
    ask(writer, agent)
    assert outcome() == code
    assert not Agent.objects.get().verified
    assert len(remote.asked) == 1


@pytest.mark.parametrize("keys", [[], ["AAAA"], ["x" * 44]])
def test_a_document_without_usable_keys_verifies_nobody(writer, agent, remote, keys):
    serve(remote, agent=agent.id, keys=keys)
    ask(writer, agent)
    assert outcome() == "INVALID_INPUT"


@pytest.mark.parametrize(
    "domain", ["localhost", "127.0.0.1", "a.example/x", "a.example:8443", "u@a.example", "é.example"]
)
def test_what_is_no_domain_is_refused_at_once(writer, agent, domain):
    refused = ask(writer, agent, domain=domain)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "ADDRESS_REFUSED", "domain")
    assert not Job.objects.exists()


def test_a_verification_says_which_version_it_has_seen(writer, agent, public_key):
    assert ask(writer, agent, version='"2"').status_code == 412
    assert (
        writer.post(f"/api/agents/{agent.id}/verification", {"domain": DOMAIN}, "application/json").status_code == 428
    )
    ask(writer, agent)
    verify_publisher(agent.id, domain="other.example", public_keys=[public_key], metadata=METADATA)
    assert outcome() == "VERSION_CONFLICT"  # the agent has changed while the job waited
    assert Agent.objects.get().domain == "other.example"


def test_somebody_elses_agent_is_not_asked_about(writer, agent, charlie):
    Agent.objects.update(owner=f"user:{charlie.pk}")
    assert ask(writer, agent).status_code == 404


def test_a_verification_can_be_given_up(writer, agent, public_key):
    verify_publisher(agent.id, domain=DOMAIN, public_keys=[public_key], metadata=METADATA)
    path = f"/api/agents/{agent.id}/verification"
    assert writer.delete(path).status_code == 428
    assert writer.delete(path, headers={"If-Match": '"1"'}).status_code == 412
    given_up = writer.delete(path, headers={"If-Match": '"2"'})
    assert (given_up.status_code, given_up.json()["verified"]) == (200, False)
    assert writer.delete(path, headers={"If-Match": '"3"'}).json()["code"] == "CONFLICT"


def test_a_domain_that_no_longer_names_the_agent_ends_its_verification(agent, remote, public_key):
    verify_publisher(agent.id, domain=DOMAIN, public_keys=[public_key], metadata=METADATA)
    serve(remote, agent="another", keys=[public_key])
    verify_again()
    assert outcome() == "PUBLISHER_NOT_VERIFIED"
    assert not Agent.objects.get().verified
    assert Event.objects.last().payload["reason"] == "domain-changed"


def test_a_domain_that_is_away_ends_nothing(agent, remote, public_key):
    verify_publisher(agent.id, domain=DOMAIN, public_keys=[public_key], metadata=METADATA)
    remote.resolves_to = []
    verify_again()
    assert outcome() == "REMOTE_FAILED"
    assert Agent.objects.get().verified


def test_a_new_key_of_the_domain_is_taken_over_when_it_is_asked_again(agent, remote, public_key):
    verify_publisher(agent.id, domain=DOMAIN, public_keys=[public_key], metadata=METADATA)
    new = base64.b64encode(b"\x07" * 32).decode()
    serve(remote, agent=agent.id, keys=[new])
    verify_again()
    assert isinstance(outcome(), dict)
    assert list(state_of(agent.id).keys.values()) == [new]
