import pytest

from latentmas.rest.scopes import KV_CACHE_COMPUTE, WEBHOOKS_WRITE
from marketplace.accounts.commands import create_token
from marketplace.agents.commands import Profile, register_agent
from marketplace.webhooks.commands import MAX_WEBHOOKS, create_webhook
from marketplace.webhooks.models import Webhook
from tests.marketplace.sample import METADATA
from tests.marketplace.webhooks.conftest import TYPES, URL

pytestmark = pytest.mark.django_db
WEBHOOKS = "/api/webhooks"
WANTED = {"url": URL, "types": TYPES}


def post(client, path=WEBHOOKS, document=WANTED, **headers):
    return client.post(path, document, "application/json", headers=headers)


def test_a_webhook_is_made_and_its_secret_shown_once(subscriber, happen):
    happen("before")
    made = post(subscriber)
    assert (made.status_code, made["Cache-Control"], made["ETag"]) == (201, "no-store", '"1"')
    assert made.json()["secret"].startswith("whsec_")
    assert made.json()["position"] == 1  # it is sent what happens from now on
    (listed,) = subscriber.get(WEBHOOKS).json()["results"]
    shown = subscriber.get(made["Location"]).json()
    assert listed == shown
    assert made.json() == shown | {"secret": made.json()["secret"]}
    assert made.json()["secret"] not in str(list(Webhook.objects.values()))


def test_a_replayed_request_does_not_show_the_secret_again(subscriber):
    assert post(subscriber, **{"Idempotency-Key": "k"}).status_code == 201
    assert post(subscriber, **{"Idempotency-Key": "k"}).json()["code"] == "ANSWER_NOT_KEPT"
    assert Webhook.objects.count() == 1


def test_it_needs_the_scope(client, client_with):
    assert post(client).status_code == 401
    assert post(client_with(KV_CACHE_COMPUTE)).status_code == 403


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"url": "http://hooks.example/"}, "ADDRESS_REFUSED", None),
        ({"url": "https://127.0.0.1/"}, "ADDRESS_REFUSED", None),
        ({"url": "https://hooks.example:8443/"}, "ADDRESS_REFUSED", None),
        ({"types": []}, "INVALID_INPUT", "types"),
        ({"types": ["agent.exploded"]}, "INVALID_INPUT", "types"),
        ({"types": ["run.finished"]}, "INVALID_INPUT", "types"),
        ({"secret": "mine"}, "INVALID_INPUT", "secret"),
    ],
)
def test_a_wrong_webhook_is_refused(subscriber, changes, code, field):
    refused = post(subscriber, document=WANTED | changes)
    assert (refused.status_code, refused.json()["code"], refused.json().get("field")) == (422, code, field)
    assert not Webhook.objects.exists()


def test_a_login_has_a_limited_number(subscriber, alice):
    for _ in range(MAX_WEBHOOKS):
        create_webhook(alice, url=URL, types=TYPES)
    assert post(subscriber).json()["code"] == "CONFLICT"


def test_a_token_that_names_an_agent_makes_webhooks_for_that_agent(client, alice):
    agent = register_agent(alice, Profile("hers", "Hers"), metadata=METADATA)
    _, token = create_token(alice, name="t", scopes=[WEBHOOKS_WRITE], agent_id=agent.id)
    assert post(client, Authorization=f"Bearer {token}").json()["agent_id"] == agent.id


def test_a_change_says_which_version_it_has_seen(subscriber, made):
    path, changed = f"{WEBHOOKS}/{made[0].id}", {"url": URL + "/new", "types": TYPES[:1], "enabled": False}
    assert subscriber.put(path, changed, "application/json").status_code == 428
    assert subscriber.put(path, changed, "application/json", headers={"If-Match": '"2"'}).status_code == 412
    assert Webhook.objects.get().enabled
    done = subscriber.put(path, changed, "application/json", headers={"If-Match": '"1"'})
    assert (done.status_code, done["ETag"], done.json()["enabled"]) == (200, '"2"', False)
    assert (done.json()["url"], done.json()["types"]) == (URL + "/new", TYPES[:1])


def test_enabling_it_again_ends_its_failures(subscriber, made):
    Webhook.objects.update(enabled=False, failures=7, disabled_because="gone", last_error="it answered 410")
    path = f"{WEBHOOKS}/{made[0].id}"
    done = subscriber.put(path, WANTED, "application/json", headers={"If-Match": '"1"'}).json()
    assert (done["enabled"], done["failures"], done["disabled_because"], done["last_error"]) == (True, 0, "", "")


def test_a_secret_is_rotated(subscriber, made):
    path = f"{WEBHOOKS}/{made[0].id}/secret"
    assert post(subscriber, path, {}).status_code == 428
    assert post(subscriber, path, {}, **{"If-Match": '"9"'}).status_code == 412
    rotated = post(subscriber, path, {}, **{"If-Match": '"1"'})
    assert (rotated.status_code, rotated["ETag"]) == (201, '"2"')
    assert rotated.json()["secret"] != made[1]


def test_a_replay_goes_back_in_the_log_and_never_beyond_it(subscriber, made, happen):
    happen("first")
    Webhook.objects.update(position=1)
    path = f"{WEBHOOKS}/{made[0].id}/replay"
    assert post(subscriber, path, {"after": 0}).status_code == 428
    for wrong in (2, -1):
        assert post(subscriber, path, {"after": wrong}, **{"If-Match": '"1"'}).json()["field"] == "after"
    done = post(subscriber, path, {"after": 0}, **{"If-Match": '"1"'})
    assert (done.status_code, done.json()["position"], Webhook.objects.get().position) == (200, 0, 0)


def test_somebody_elses_webhook_is_not_there(subscriber, bob):
    row, _ = create_webhook(bob, url=URL, types=TYPES)
    path = f"{WEBHOOKS}/{row.id}"
    matching = {"If-Match": '"1"'}
    for response in (
        subscriber.get(path),
        subscriber.delete(path),
        subscriber.put(path, WANTED, "application/json", headers=matching),
        post(subscriber, f"{path}/secret", {}, **matching),
        post(subscriber, f"{path}/replay", {"after": 0}, **matching),
        subscriber.get(f"{WEBHOOKS}/%00"),
    ):
        assert response.status_code == 404
    assert Webhook.objects.get().version == 1
    assert subscriber.get(WEBHOOKS).json()["results"] == []


def test_it_is_deleted(subscriber, made):
    assert subscriber.delete(f"{WEBHOOKS}/{made[0].id}").status_code == 204
    assert not Webhook.objects.exists()


def test_curators_see_no_secret(admin_client, made):
    page = admin_client.get(f"/admin/webhooks/webhook/{made[0].id}/change/")
    assert page.status_code == 200
    assert made[0].secret not in page.content.decode()
