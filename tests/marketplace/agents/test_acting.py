"""Which agent a request acts for."""

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory, force_authenticate

from latentmas.protocol.errors import NotFound
from latentmas.rest.scopes import AGENTS_WRITE
from marketplace.accounts.authentication import TokenAuthentication
from marketplace.accounts.commands import create_token
from marketplace.agents.commands import Profile, register_agent, suspend_agent
from marketplace.agents.errors import AgentIsSuspended, AgentRequired
from marketplace.agents.events import SuspensionReason
from marketplace.agents.queries import acting_agent
from tests.marketplace.sample import METADATA

pytestmark = pytest.mark.django_db


def request(user, *, agent_id=None, header=None):
    _, token = create_token(user, name="tests", scopes=[AGENTS_WRITE], agent_id=agent_id)
    headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"} | ({"HTTP_LATENTMAS_AGENT": header} if header else {})
    return Request(APIRequestFactory().get("/api/x", **headers), authenticators=[TokenAuthentication()])


@pytest.fixture
def second(alice, agent):
    return register_agent(alice, Profile("second", "Second"), metadata=METADATA)


def test_a_login_with_one_agent_acts_for_it(alice, agent):
    assert acting_agent(request(alice)) == agent
    session = APIRequestFactory().get("/api/x")
    force_authenticate(session, alice)
    assert acting_agent(Request(session)) == agent


def test_a_login_without_an_agent_is_told_to_register_one(charlie):
    with pytest.raises(AgentRequired, match="has no agent"):
        acting_agent(request(charlie))


def test_of_several_agents_the_header_or_the_token_names_one(alice, agent, second):
    with pytest.raises(AgentRequired, match="several"):
        acting_agent(request(alice))
    assert acting_agent(request(alice, header=second.id)) == second
    assert acting_agent(request(alice, agent_id=second.id)) == second


def test_the_token_decides_whatever_the_header_says(alice, agent, second):
    assert acting_agent(request(alice, agent_id=second.id, header=agent.id)) == second


def test_nobody_acts_for_somebody_elses_agent(charlie, agent):
    with pytest.raises(NotFound):
        acting_agent(request(charlie, header=agent.id))


def test_a_suspended_agent_does_not_act(alice, agent):
    suspend_agent(agent.id, reason=SuspensionReason.HARMFUL_FILES, metadata=METADATA)
    with pytest.raises(AgentIsSuspended, match="harmful-files"):
        acting_agent(request(alice))
