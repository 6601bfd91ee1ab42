from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from latentmas.rest.scopes import KV_CACHE_COMPUTE
from marketplace.accounts.commands import MAX_TOKENS, create_token
from marketplace.accounts.models import ApiToken
from marketplace.agents.commands import Profile, register_agent
from tests.marketplace.sample import METADATA

pytestmark = pytest.mark.django_db
TOKENS = "/api/tokens"
WANTED = {"name": "my agent", "scopes": [KV_CACHE_COMPUTE]}


def made(client, **changes):
    return client.post(TOKENS, WANTED | changes, "application/json")


def test_a_token_is_shown_once(logged_in):
    document = made(logged_in).json()
    assert document["token"].startswith(f"lmas_{document['id']}_")
    (listed,) = logged_in.get(TOKENS).json()["results"]
    assert "token" not in listed
    assert document["token"] not in str(ApiToken.objects.values())
    assert (listed["name"], listed["scopes"], listed["state"]) == ("my agent", [KV_CACHE_COMPUTE], "valid")


def test_the_answer_with_a_token_is_not_cached(logged_in):
    assert made(logged_in)["Cache-Control"] == "no-store"


def test_it_lasts_as_long_as_was_asked_for(logged_in):
    made(logged_in, days=2)
    assert ApiToken.objects.get().expires_at - timezone.now() < timedelta(days=2)


def test_one_sees_only_ones_own_tokens(logged_in, charlie):
    row, _ = create_token(charlie, name="his", scopes=[KV_CACHE_COMPUTE])
    assert logged_in.get(TOKENS).json()["results"] == []
    assert logged_in.delete(f"{TOKENS}/{row.id}").status_code == 404
    row.refresh_from_db()
    assert row.revoked_at is None


def test_a_revoked_token_stays_listed_as_revoked(logged_in):
    identifier = made(logged_in).json()["id"]
    for _ in range(2):
        assert logged_in.delete(f"{TOKENS}/{identifier}").status_code == 204
    (listed,) = logged_in.get(TOKENS).json()["results"]
    assert listed["state"] == "revoked"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"scopes": []}, "scopes"),
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"days": 0}, "days"),
        ({"days": 10_000}, "days"),
        ({"admin": True}, "admin"),
    ],
)
def test_a_wrong_request_is_refused_by_field(logged_in, changes, field):
    response = made(logged_in, **changes)
    assert response.status_code == 422
    assert response.json()["field"] == field
    assert not ApiToken.objects.exists()


def test_an_account_has_a_limited_number_of_valid_tokens(logged_in, alice):
    for number in range(MAX_TOKENS):
        create_token(alice, name=str(number), scopes=[KV_CACHE_COMPUTE])
    assert made(logged_in).json()["code"] == "CONFLICT"
    logged_in.delete(f"{TOKENS}/{ApiToken.objects.first().id}")
    assert made(logged_in).status_code == 201


def test_nobody_is_asked_to_log_in_rather_than_refused(client):
    for response in (client.get(TOKENS), made(client), client.delete(f"{TOKENS}/abc")):
        assert response.status_code == 401
        assert response.json()["code"] == "NOT_AUTHENTICATED"
        assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_token_cannot_make_see_or_revoke_tokens(client, alice):
    row, token = create_token(alice, name="hers", scopes=[KV_CACHE_COMPUTE])
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    for response in (client.get(TOKENS), made(client), client.delete(f"{TOKENS}/{row.id}")):
        assert response.status_code == 403
        assert "log in" in response.json()["detail"]
    assert ApiToken.objects.get().revoked_at is None


def test_a_session_without_its_csrf_token_makes_none(alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert made(client).status_code == 403
    assert not ApiToken.objects.exists()


def test_a_token_names_an_agent_of_its_own_account_only(logged_in, alice, charlie):
    hers = register_agent(alice, Profile("hers", "Hers"), metadata=METADATA)
    his = register_agent(charlie, Profile("his", "His"), metadata=METADATA)
    assert made(logged_in, agent_id=hers.id).json()["agent_id"] == hers.id
    refused = made(logged_in, agent_id=his.id)
    assert (refused.status_code, refused.json()["field"]) == (422, "agent_id")
