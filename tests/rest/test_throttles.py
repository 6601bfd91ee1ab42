"""Budgets of requests: whose they are, what is taken from them, and what a request beyond them gets."""

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from latentmas.rest import throttles
from latentmas.rest.scopes import AGENTS_WRITE
from marketplace.accounts.commands import create_token
from marketplace.agents.models import Agent

pytestmark = pytest.mark.django_db
READ = "/api/agents"
WANTED = {"handle": "alice-labs", "display_name": "Alice"}


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1_000_000.0

        def time(self):
            return self.now

    stopped = Clock()
    monkeypatch.setattr(throttles, "time", stopped)
    return stopped


@pytest.fixture(autouse=True)
def _two_each(settings, clock):
    settings.THROTTLES = dict.fromkeys(settings.THROTTLES, (2, 60))


def test_every_answer_says_what_is_left(client):
    answered = client.get(READ)
    assert {name: answered[name] for name in answered.headers if name.startswith("RateLimit")} == {
        "RateLimit-Limit": "2",
        "RateLimit-Remaining": "1",
        "RateLimit-Reset": "20",
        "RateLimit-Policy": "2;w=60",
    }


def test_one_request_too_many_is_refused_until_the_window_ends(client, clock):
    assert [client.get(READ).status_code for _ in range(3)] == [200, 200, 429]
    refused = client.get(READ)
    assert (refused.json()["code"], refused["Retry-After"], refused["RateLimit-Remaining"]) == ("THROTTLED", "20", "0")
    clock.now += 20
    assert client.get(READ).status_code == 200


def test_a_request_beyond_the_budget_changes_nothing(client_with):
    client = client_with(AGENTS_WRITE)
    for number in range(3):
        client.post(READ, WANTED | {"handle": f"agent-{number}"}, "application/json")
    assert Agent.objects.count() == 2


def test_reading_and_writing_have_budgets_of_their_own(client_with):
    client = client_with(AGENTS_WRITE)
    assert [client.get(READ).status_code for _ in range(3)] == [200, 200, 429]
    assert client.post(READ, WANTED, "application/json").status_code == 201


def test_all_tokens_of_an_account_share_its_budget_and_other_accounts_do_not(alice, client):
    bob = User.objects.create_user("bob")
    tokens = [create_token(owner, name="t", scopes=[AGENTS_WRITE])[1] for owner in (alice, alice, alice, bob)]
    statuses = [client.get(READ, headers={"Authorization": f"Bearer {token}"}).status_code for token in tokens]
    assert statuses == [200, 200, 429, 200]


def test_addresses_without_an_account_have_budgets_of_their_own():
    for _ in range(2):
        Client(REMOTE_ADDR="203.0.113.1").get(READ)
    assert Client(REMOTE_ADDR="203.0.113.1").get(READ).status_code == 429
    assert Client(REMOTE_ADDR="203.0.113.2").get(READ).status_code == 200


def test_nobody_gets_a_new_budget_by_claiming_to_come_from_elsewhere(client):
    statuses = [client.get(READ, headers={"X-Forwarded-For": f"203.0.113.{n}"}).status_code for n in range(3)]
    assert statuses == [200, 200, 429]


def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_saw(client, settings):
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    for claimed in range(3):
        headers = {"X-Forwarded-For": f"198.51.100.{claimed}, 203.0.113.1"}
        last = client.get(READ, headers=headers)
    assert last.status_code == 429
    assert client.get(READ, headers={"X-Forwarded-For": "203.0.113.2"}).status_code == 200


def test_computing_without_an_account_has_the_smallest_budget_by_default():
    from latentmas import settings as defaults

    assert defaults.THROTTLES["anonymous computing"][0] == min(limit for limit, _ in defaults.THROTTLES.values())


def test_wrong_tokens_come_out_of_the_address_budget(client):
    wrong = {"Authorization": "Bearer lmas_000000000000_" + "A" * 43}
    assert [client.get(READ, headers=wrong).status_code for _ in range(3)] == [401, 401, 429]


@pytest.mark.parametrize("path", ["/", "/admin/login/", "/api/docs"])
def test_what_is_no_api_view_is_throttled_too(client, path):
    assert [client.get(path).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_probes_are_not(client, path):
    assert {client.get(path).status_code for _ in range(4)} == {200}


def test_a_budget_can_be_without_a_limit(client, settings):
    settings.THROTTLES = dict.fromkeys(settings.THROTTLES, None)
    answered = [client.get(READ) for _ in range(4)]
    assert {each.status_code for each in answered} == {200}
    assert not answered[0].has_header("RateLimit-Limit")


def test_a_cache_that_forgets_starts_again(client, monkeypatch):
    client.get(READ)
    monkeypatch.setattr(cache, "add", lambda *_, **__: False)
    cache.clear()
    assert client.get(READ).status_code == 200
