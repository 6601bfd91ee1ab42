import pytest

from latentmas.rest.scopes import KV_CACHE_COMPUTE
from marketplace.accounts import secrets
from marketplace.accounts.commands import create_token
from marketplace.accounts.models import ApiToken

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/apitoken/"


def test_a_token_is_made_on_a_form_and_shown_once(admin_client, alice):
    sent = {"name": "batch", "owner": alice.pk, "scopes": [KV_CACHE_COMPUTE], "days": 30}
    page = admin_client.post(f"{LIST}add/", sent, follow=True).content.decode()
    row = ApiToken.objects.get()
    assert f"lmas_{row.id}_" in page
    assert (row.owner, row.scopes) == (alice, (KV_CACHE_COMPUTE,))
    assert secrets.TOKEN.search(page)
    assert not secrets.TOKEN.search(admin_client.get(LIST).content.decode())


def test_a_wrong_form_makes_nothing_and_says_why(admin_client, alice):
    sent = {"name": "batch", "owner": alice.pk, "scopes": [KV_CACHE_COMPUTE], "days": 0}
    response = admin_client.post(f"{LIST}add/", sent)
    assert response.status_code == 200
    assert "greater than or equal to 1" in response.content.decode()
    assert not ApiToken.objects.exists()


def test_an_action_revokes(admin_client, alice):
    row, _ = create_token(alice, name="hers", scopes=[KV_CACHE_COMPUTE])
    admin_client.post(LIST, {"action": "revoke", "_selected_action": [row.id]})
    row.refresh_from_db()
    assert row.revoked_at is not None


def test_a_token_can_be_looked_at_but_not_changed_or_deleted(admin_client, alice):
    row, _ = create_token(alice, name="hers", scopes=[KV_CACHE_COMPUTE])
    page = admin_client.get(f"{LIST}{row.id}/change/").content.decode()
    assert "kv-cache:compute" in page
    assert row.secret_sha256 not in page
    assert admin_client.post(f"{LIST}{row.id}/change/", {"name": "mine"}).status_code == 403
    assert admin_client.post(f"{LIST}{row.id}/delete/", {"post": "yes"}).status_code == 403
