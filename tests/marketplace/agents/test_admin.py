"""What curators may do to agents, and what others may not."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from latentmas.events.models import Event
from latentmas.jobs.models import Job
from marketplace.agents.commands import verify_publisher
from marketplace.agents.models import Agent, AgentProfile
from tests.marketplace.sample import METADATA

pytestmark = pytest.mark.django_db
LIST = "/admin/agents/agent/"


def staff(*codenames):
    user = User.objects.create_user(f"staff-{len(codenames)}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def curator():
    return staff("view_agent", "curate")


def act(client, action, agent, **fields):
    return client.post(LIST, {"action": action, "_selected_action": [agent.id], **fields}, follow=True)


def test_the_list_shows_handles(curator, agent, django_assert_max_num_queries):
    with django_assert_max_num_queries(10):
        page = curator.get(LIST).content.decode()
    assert "alice-labs" in page


def test_an_agent_is_suspended_for_a_reason_and_reinstated(curator, agent):
    assert b"Choose the reason" in act(curator, "suspend", agent).content
    assert Agent.objects.get().suspended is None
    act(curator, "suspend", agent, reason="fraud")
    assert Agent.objects.get().suspended == "fraud"
    assert Event.objects.last().metadata["actor"].startswith("user:")
    act(curator, "reinstate", agent)
    assert Agent.objects.get().suspended is None


def test_a_verification_is_asked_for_again_or_withdrawn(curator, agent, public_key):
    assert b"is not a verified publisher" in act(curator, "withdraw", agent).content
    verify_publisher(agent.id, domain="publisher.example", public_keys=[public_key], metadata=METADATA)
    act(curator, "ask_domain", agent)
    assert Job.objects.get().arguments["domain"] == "publisher.example"
    act(curator, "withdraw", agent)
    assert Event.objects.last().payload == {"domain": "publisher.example", "reason": "curator"}


def test_a_profile_is_erased(curator, agent):
    act(curator, "erase", agent)
    assert not AgentProfile.objects.exists()


@pytest.mark.parametrize("action", ["suspend", "reinstate", "ask_domain", "withdraw", "erase"])
def test_who_only_may_look_changes_nothing(agent, action):
    act(staff("view_agent"), action, agent, reason="fraud")
    assert Event.objects.count() == 1
    assert AgentProfile.objects.exists()
    assert not Job.objects.exists()
