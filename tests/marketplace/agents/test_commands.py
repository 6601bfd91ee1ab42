import json

import pytest

from latentmas.events.errors import VersionConflict
from latentmas.events.models import Event
from latentmas.events.rebuilding import check, chosen
from latentmas.protocol.commitments import commitment
from latentmas.protocol.errors import Conflict, InvalidInput, NotFound
from marketplace.agents import commands
from marketplace.agents.commands import MAX_AGENTS, Profile, change_profile, register_agent
from marketplace.agents.errors import AgentIsSuspended
from marketplace.agents.events import SuspensionReason, WithdrawalReason
from marketplace.agents.models import Agent, AgentProfile
from marketplace.agents.queries import state_of
from tests.marketplace.agents.conftest import PROFILE
from tests.marketplace.sample import METADATA

pytestmark = pytest.mark.django_db


def test_no_event_holds_what_a_person_wrote(agent):
    change_profile(agent.id, Profile("alice-two", "Somebody else", "Another text."), metadata=METADATA)
    bodies = b"\n".join(bytes(body) for body in Event.objects.values_list("body", flat=True)).decode()
    for text in ("alice", "laboratory", "Maps", "Somebody", "Another"):
        assert text not in bodies


def test_the_event_commits_to_the_profile(agent):
    row = AgentProfile.objects.get(agent_id=agent.id)
    written = {"handle": row.handle, "display_name": row.display_name, "description": row.description}
    assert state_of(agent.id).profile == commitment(written, salt=row.salt)
    assert state_of(agent.id).profile != commitment(written | {"handle": "other"}, salt=row.salt)


def test_an_erased_profile_leaves_no_salt_behind(agent):
    commands.erase_profile(agent.id, metadata=METADATA)
    assert not AgentProfile.objects.exists()
    assert state_of(agent.id).profile is None
    assert commands.erase_profile(agent.id, metadata=METADATA) == []


def test_the_same_profile_again_records_nothing(agent):
    assert change_profile(agent.id, PROFILE, metadata=METADATA) == []


def test_a_taken_handle_is_refused_and_changes_nothing(agent, charlie):
    with pytest.raises(Conflict, match="is taken"):
        register_agent(charlie, PROFILE, metadata=METADATA)
    other = register_agent(charlie, Profile("charlie", "Charlie"), metadata=METADATA)
    with pytest.raises(Conflict, match="is taken"):
        change_profile(other.id, PROFILE, metadata=METADATA)
    assert Agent.objects.count() == 2
    assert state_of(other.id).profile is not None
    assert AgentProfile.objects.get(agent_id=other.id).handle == "charlie"
    assert Event.objects.filter(stream=f"agent/{other.id}").count() == 1


@pytest.mark.parametrize(
    "handle", ["ab", "Alice", "-alice", "alice-", "al--ice", "al ice", "a" * 41, "älice", "a\x00b"]
)
def test_an_unusual_handle_is_refused(alice, handle):
    with pytest.raises(InvalidInput) as refused:
        register_agent(alice, Profile(handle, "Alice"), metadata=METADATA)
    assert refused.value.facts["field"] == "handle"


def test_a_login_has_a_limited_number_of_agents(alice):
    for number in range(MAX_AGENTS):
        register_agent(alice, Profile(f"agent-{number}", "One of many"), metadata=METADATA)
    with pytest.raises(Conflict, match="the limit"):
        register_agent(alice, PROFILE, metadata=METADATA)


def test_a_change_of_an_older_version_conflicts_and_writes_no_profile(agent):
    change_profile(agent.id, Profile("alice-two", "New"), metadata=METADATA, expected=1)
    with pytest.raises(VersionConflict):
        change_profile(agent.id, PROFILE, metadata=METADATA, expected=1)
    assert AgentProfile.objects.get().handle == "alice-two"


def test_a_revoked_key_cannot_come_back(agent, public_key):
    (registered,) = commands.register_key(agent.id, public_key=public_key, metadata=METADATA)
    assert commands.register_key(agent.id, public_key=public_key, metadata=METADATA) == []
    commands.revoke_key(agent.id, key_id=registered.data.key_id, metadata=METADATA)
    assert state_of(agent.id).keys == {}
    with pytest.raises(Conflict, match="for good"):
        commands.register_key(agent.id, public_key=public_key, metadata=METADATA)
    commands.verify_publisher(agent.id, domain="example.com", public_keys=[public_key], metadata=METADATA)
    assert state_of(agent.id).keys == {}


def test_a_verification_brings_the_domains_keys_and_takes_them_away_again(agent, public_key):
    commands.verify_publisher(agent.id, domain="example.com", public_keys=[public_key], metadata=METADATA)
    again = commands.verify_publisher(agent.id, domain="example.com", public_keys=[public_key], metadata=METADATA)
    assert again == []
    row = Agent.objects.get()
    assert (row.domain, row.verified, list(state_of(agent.id).keys.values())) == ("example.com", True, [public_key])
    commands.withdraw_verification(agent.id, reason=WithdrawalReason.OWN_REQUEST, metadata=METADATA)
    row.refresh_from_db()
    assert (row.verified, row.verified_at, state_of(agent.id).keys) == (False, None, {})
    with pytest.raises(Conflict):
        commands.withdraw_verification(agent.id, reason=WithdrawalReason.OWN_REQUEST, metadata=METADATA)


def test_a_suspended_agent_changes_nothing_until_it_is_reinstated(agent, public_key):
    commands.suspend_agent(agent.id, reason=SuspensionReason.FRAUD, metadata=METADATA)
    assert Agent.objects.get().suspended == "fraud"
    for attempt in (
        lambda: change_profile(agent.id, Profile("alice-two", "New"), metadata=METADATA),
        lambda: commands.register_key(agent.id, public_key=public_key, metadata=METADATA),
        lambda: commands.verify_publisher(agent.id, domain="a.example", public_keys=[public_key], metadata=METADATA),
    ):
        with pytest.raises(AgentIsSuspended, match="fraud"):
            attempt()
    commands.reinstate_agent(agent.id, metadata=METADATA)
    assert change_profile(agent.id, Profile("alice-two", "New"), metadata=METADATA)


def test_nothing_can_be_done_to_an_agent_that_is_not_there():
    with pytest.raises(NotFound):
        commands.suspend_agent("nobody", reason=SuspensionReason.FRAUD, metadata=METADATA)
    assert not Event.objects.exists()


@pytest.mark.parametrize("wrong", ["", "AAAA", "é" * 44, "A" * 44 + "="])
def test_what_is_no_key_is_refused(agent, wrong):
    with pytest.raises(InvalidInput) as refused:
        commands.register_key(agent.id, public_key=wrong, metadata=METADATA)
    assert refused.value.facts["field"] == "public_key"
    json.dumps(refused.value.facts)


def test_the_rows_are_what_the_log_says(agent, public_key):
    commands.verify_publisher(agent.id, domain="example.com", public_keys=[public_key], metadata=METADATA)
    commands.suspend_agent(agent.id, reason=SuspensionReason.RIGHTS, metadata=METADATA)
    assert check(chosen(["project_agents"])) == []
    Agent.objects.update(domain="evil.example")
    assert check(chosen(["project_agents"]))
