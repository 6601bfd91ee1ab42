"""The public change feed."""

import pytest

from latentmas.events import changes
from latentmas.events.changes import change_types, describes_changes
from latentmas.events.types import event_types
from marketplace.agents.commands import suspend_agent
from marketplace.agents.events import AgentRegistered, SuspensionReason
from marketplace.webhooks import changes_api
from tests.marketplace.sample import METADATA

pytestmark = pytest.mark.django_db
CHANGES = "/api/changes"


def ask(client, **query):
    return client.get(CHANGES, query).json()


def test_it_says_what_happened_and_nothing_of_what_events_hold(client, happen):
    agent = happen("first")
    (change,) = ask(client)["changes"]
    assert change.keys() == {"position", "type", "subject", "time", "facts"}
    assert (change["position"], change["type"], change["facts"]) == (1, "agent.registered", {})
    assert change["subject"] == f"agent/{agent.id}"


def test_one_goes_on_where_the_answer_ended(client, happen):
    for name in ("first", "second", "third"):
        happen(name)
    page = ask(client, limit=2)
    assert ([each["position"] for each in page["changes"]], page["next_after"]) == ([1, 2], 2)
    page = ask(client, limit=2, after=2)
    assert ([each["position"] for each in page["changes"]], page["next_after"]) == ([3], 3)
    assert ask(client, after=3) == {"changes": [], "next_after": 3}


def test_other_types_are_passed_over(client, happen):
    agent = happen("first")
    suspend_agent(agent.id, reason=SuspensionReason.FRAUD, metadata=METADATA)
    happen("second")
    page = ask(client, types="agent.suspended")
    assert ([each["position"] for each in page["changes"]], page["next_after"]) == ([2], 3)
    both = ask(client, types="agent.suspended, agent.registered")
    assert len(both["changes"]) == 3


def test_what_its_app_hides_is_absent_and_not_waited_for(client, happen, monkeypatch):
    monkeypatch.setitem(changes._DESCRIBERS, AgentRegistered, lambda events, viewer: {2: {"seen": len(events)}})
    for name in ("first", "second", "third"):
        happen(name)
    page = ask(client)
    assert [(each["position"], each["facts"]) for each in page["changes"]] == [(2, {"seen": 3})]
    assert page["next_after"] == 3
    hidden = ask(client, after=2, limit=1)
    assert hidden == {"changes": [], "next_after": 3}


def test_a_type_that_no_app_has_spoken_for_is_in_no_feed(client):
    assert "run.finished" in event_types()
    assert "run.finished" not in change_types()
    assert client.get(CHANGES, {"types": "run.finished"}).json()["field"] == "types"


def test_a_type_has_one_who_speaks_for_it():
    with pytest.raises(ValueError, match="two functions"):
        describes_changes(AgentRegistered)(lambda events, viewer: {})


def test_the_number_of_queries_does_not_grow(client, happen, django_assert_num_queries):
    for number in range(5):
        happen(f"agent-{number}")
    with django_assert_num_queries(2):
        ask(client)


def test_an_answer_that_is_known_is_not_sent_again(client, happen):
    happen("first")
    etag = client.get(CHANGES)["ETag"]
    assert client.get(CHANGES, headers={"If-None-Match": etag}).status_code == 304
    happen("second")
    assert client.get(CHANGES, headers={"If-None-Match": etag}).status_code == 200


def test_it_waits_until_something_happens(client, happen, monkeypatch):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            happen("late")

    monkeypatch.setattr(changes_api.time, "sleep", sleep)
    page = ask(client, wait=20)
    assert ([each["type"] for each in page["changes"]], len(slept)) == (["agent.registered"], 3)


def test_it_does_not_wait_for_what_is_hidden_and_goes_on_behind_it(client, happen, monkeypatch):
    monkeypatch.setitem(changes._DESCRIBERS, AgentRegistered, lambda events, viewer: {2: {}})
    names = iter(("hidden", "shown"))
    monkeypatch.setattr(changes_api.time, "sleep", lambda _: happen(next(names)))
    assert [each["position"] for each in ask(client, wait=20)["changes"]] == [2]


def test_it_waits_no_longer_than_asked(client, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(changes_api.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(changes_api.time, "sleep", lambda _: None)
    assert ask(client, wait=5) == {"changes": [], "next_after": 0}
    assert next(clock) < 10


def test_when_too_many_wait_it_answers_at_once(client, monkeypatch):
    def sleep(_):
        raise AssertionError("it waits")

    monkeypatch.setattr(changes_api.time, "sleep", sleep)
    places = [changes_api._place() for _ in range(2)]
    assert [place.__enter__() for place in places] == [True, True]
    assert ask(client, wait=20) == {"changes": [], "next_after": 0}
    for place in places:
        place.__exit__(None, None, None)
    assert changes_api._waiting.acquire(blocking=False)
    changes_api._waiting.release()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": -1}, "after"),
        ({"after": 2**63}, "after"),
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"wait": 26}, "wait"),
        ({"types": "nothing"}, "types"),
        ({"types": "a\x00b"}, "types"),
        ({"since": 1}, "since"),
    ],
)
def test_a_wrong_question_is_refused(client, query, field):
    refused = client.get(CHANGES, query)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
