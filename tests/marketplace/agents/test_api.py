import pytest

from latentmas.events.models import Event
from latentmas.rest.scopes import AGENTS_WRITE, KV_CACHE_COMPUTE
from marketplace.accounts.commands import create_token
from marketplace.agents.commands import Profile, register_agent, suspend_agent
from marketplace.agents.events import SuspensionReason
from marketplace.agents.models import Agent, AgentProfile
from tests.marketplace.agents.conftest import PROFILE
from tests.marketplace.sample import METADATA

pytestmark = pytest.mark.django_db
AGENTS = "/api/agents"
WANTED = {"handle": "alice-labs", "display_name": "Alice's laboratory"}


def test_an_agent_is_registered_and_shown_to_everybody(writer, client):
    made = writer.post(AGENTS, WANTED, "application/json")
    assert (made.status_code, made["ETag"]) == (201, '"1"')
    shown = client.get(made["Location"])
    assert shown.json() == made.json()
    assert shown["ETag"] == '"1"'
    assert (shown.json()["handle"], shown.json()["verified"], shown.json()["keys"]) == ("alice-labs", False, [])
    assert Event.objects.get().metadata["actor"].startswith("token:")


def test_registering_needs_the_scope(client, client_with):
    assert client.post(AGENTS, WANTED, "application/json").status_code == 401
    refused = client_with(KV_CACHE_COMPUTE).post(AGENTS, WANTED, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
    assert not Agent.objects.exists()


def test_a_change_says_which_version_it_has_seen(writer, agent):
    path = f"{AGENTS}/{agent.id}"
    changed = WANTED | {"display_name": "New"}
    missing = writer.put(path, changed, "application/json")
    assert (missing.status_code, missing.json()["code"]) == (428, "PRECONDITION_REQUIRED")
    for wrong in ("*", 'W/"1"', "1", '"1", "2"'):
        assert writer.put(path, changed, "application/json", headers={"If-Match": wrong}).status_code == 422
    stale = writer.put(path, changed, "application/json", headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "VERSION_CONFLICT")
    assert AgentProfile.objects.get().display_name == PROFILE.display_name
    done = writer.put(path, changed, "application/json", headers={"If-Match": '"1"'})
    assert (done.status_code, done["ETag"], done.json()["display_name"]) == (200, '"2"', "New")


def test_somebody_elses_agent_cannot_be_changed(writer, charlie):
    other = register_agent(charlie, PROFILE, metadata=METADATA)
    for response in (
        writer.put(f"{AGENTS}/{other.id}", WANTED, "application/json", headers={"If-Match": '"1"'}),
        writer.post(f"{AGENTS}/{other.id}/keys", {"public_key": "x"}, "application/json", headers={"If-Match": '"1"'}),
        writer.delete(f"{AGENTS}/{other.id}/keys/0123456789abcdef", headers={"If-Match": '"1"'}),
    ):
        assert response.status_code == 404
    assert Event.objects.count() == 1


def test_a_token_that_names_an_agent_changes_no_other(client, alice, agent):
    other = register_agent(alice, Profile("other", "Other"), metadata=METADATA)
    _, token = create_token(alice, name="one", scopes=[AGENTS_WRITE], agent_id=other.id)
    headers = {"Authorization": f"Bearer {token}", "If-Match": '"1"'}
    assert client.put(f"{AGENTS}/{agent.id}", WANTED, "application/json", headers=headers).status_code == 404
    done = client.put(f"{AGENTS}/{other.id}", WANTED | {"handle": "new"}, "application/json", headers=headers)
    assert done.status_code == 200


def test_keys_are_registered_and_revoked(writer, agent, public_key):
    path = f"{AGENTS}/{agent.id}/keys"
    added = writer.post(path, {"public_key": public_key}, "application/json", headers={"If-Match": '"1"'})
    (key,) = added.json()["keys"]
    assert (added.status_code, key["public_key"], key["from_domain"]) == (201, public_key, False)
    revoked = writer.delete(f"{path}/{key['key_id']}", headers={"If-Match": added["ETag"]})
    assert (revoked.json()["keys"], revoked.json()["revoked_keys"]) == ([], [key["key_id"]])
    unknown = writer.delete(f"{path}/{'0' * 16}", headers={"If-Match": revoked["ETag"]})
    assert unknown.status_code == 404


def test_a_suspended_agent_is_refused_by_its_code(writer, agent):
    suspend_agent(agent.id, reason=SuspensionReason.FRAUD, metadata=METADATA)
    changed = WANTED | {"display_name": "New"}
    refused = writer.put(f"{AGENTS}/{agent.id}", changed, "application/json", headers={"If-Match": '"2"'})
    assert (refused.status_code, refused.json()["code"]) == (403, "AGENT_SUSPENDED")


def test_the_list_is_filtered_and_paged(client, writer, agent, charlie, django_assert_num_queries):
    others = [register_agent(charlie, Profile(f"other-{n}", "Other"), metadata=METADATA) for n in range(3)]
    with django_assert_num_queries(2):
        everybody = client.get(AGENTS).json()["results"]
    assert {each["id"] for each in everybody} == {agent.id, *(each.id for each in others)}
    assert [each["id"] for each in client.get(AGENTS, {"handle": "alice-labs"}).json()["results"]] == [agent.id]
    assert [each["id"] for each in writer.get(AGENTS, {"mine": True}).json()["results"]] == [agent.id]
    assert client.get(AGENTS, {"verified": True}).json()["results"] == []
    assert client.get(AGENTS, {"mine": True}).status_code == 401
    first = client.get(AGENTS, {"limit": 3}).json()
    assert len(first["results"]) == 3
    assert len(client.get(first["next"]).json()["results"]) == 1


@pytest.mark.parametrize("wrong", ["nobody", "%00", "0" * 36, "00000000-0000-0000-0000-000000000000"])
def test_an_agent_that_is_not_there_is_not_found(client, wrong):
    assert client.get(f"{AGENTS}/{wrong}").json()["code"] == "NOT_FOUND"
