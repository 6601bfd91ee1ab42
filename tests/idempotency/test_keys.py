"""Requests that are sent again under their key, tried on agents, tokens and memories."""

import itertools
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.decorators import api_view
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from latentmas.events.models import Event
from latentmas.idempotency.keys import CLAIM_SECONDS, KEY, idempotent
from latentmas.idempotency.models import IdempotencyKey
from latentmas.idempotency.tasks import delete_old
from latentmas.rest.scopes import AGENTS_WRITE, MEMORIES_READ, MEMORIES_WRITE, W_MATRICES_GENERATE
from marketplace.accounts.commands import create_token
from marketplace.accounts.models import ApiToken
from marketplace.agents.commands import Profile, erase_profile, register_agent
from marketplace.agents.models import Agent
from tests.events.threads import in_threads
from tests.marketplace.sample import METADATA

pytestmark = pytest.mark.django_db
AGENTS = "/api/agents"
WANTED = {"handle": "alice-labs", "display_name": "Alice's laboratory"}
# POSTs that only compute: nothing changes by them, so they may be sent again anyway.
COMPUTING = {
    "kv_cache_compress",
    "kv_cache_decompress",
    "kv_cache_validate_quality",
    "kv_cache_benchmark",
    "kv_cache_estimate_savings",
    "latentmas_kv_cache_align",
    "latentmas_vectors_align",
    "w_matrices_verify",
    "quotes_create",  # a quote is a signed token, of which nothing is kept until it is used, once
    "memories_quote",
    "reasoning_chains_quote",
    "long_term_memories_quote",
    "long_term_memories_select",
    "embeddings_quote",
    "payments_stripe_webhook",  # Stripe has no account, and each of its messages counts once
    "log_cosignatures",  # a witness has no account, and the same signature is kept once
}


@pytest.fixture
def writer(client_with) -> Client:
    return client_with(AGENTS_WRITE, MEMORIES_READ, MEMORIES_WRITE, W_MATRICES_GENERATE)


def post(client, document, *, key="first", path=AGENTS, **headers):
    named = {"Idempotency-Key": key} | {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path, document, "application/json", headers=named)


def test_a_repeated_request_is_answered_again_and_done_once(writer):
    first, again = post(writer, WANTED), post(writer, WANTED)
    assert (again.status_code, again.json()) == (201, first.json())
    assert (again["Location"], again["ETag"]) == (first["Location"], first["ETag"])
    assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
    assert Agent.objects.count() == Event.objects.count() == 1


@pytest.mark.parametrize(
    ("document", "path"),
    [(WANTED | {"handle": "other"}, AGENTS), (WANTED, f"{AGENTS}?x=1"), (WANTED, "/api/latentmas/w-matrix/generate")],
)
def test_the_same_key_with_another_request_is_refused(writer, document, path):
    post(writer, WANTED)
    refused = post(writer, document, path=path)
    assert (refused.status_code, refused.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert Event.objects.count() == 1


def test_keys_belong_to_an_account(writer):
    post(writer, WANTED)
    bob = User.objects.create_user("bob")
    _, token = create_token(bob, name="his", scopes=[AGENTS_WRITE])
    his = post(Client(headers={"Authorization": f"Bearer {token}"}), WANTED | {"handle": "bob"})
    assert his.status_code == 201
    assert Agent.objects.count() == 2


def test_what_failed_may_be_tried_again_under_its_key(writer, alice):
    blocking = register_agent(alice, Profile("alice-labs", "In the way"), metadata=METADATA)
    assert post(writer, WANTED).status_code == 409
    assert not IdempotencyKey.objects.exists()
    erase_profile(blocking.id, metadata=METADATA)
    assert post(writer, WANTED).status_code == 201


def test_a_request_in_flight_is_not_carried_out_twice(writer):
    post(writer, WANTED)
    IdempotencyKey.objects.update(status=None)  # as if it were still being answered
    again = post(writer, WANTED)
    assert (again.status_code, again.json()["code"], again["Retry-After"]) == (409, "REQUEST_IN_FLIGHT", "1")
    assert Agent.objects.count() == 1


def test_the_key_of_a_process_that_died_is_taken_over(writer):
    post(writer, WANTED)
    IdempotencyKey.objects.update(status=None, claimed_at=timezone.now() - timedelta(seconds=CLAIM_SECONDS + 1))
    assert post(writer, WANTED).json()["code"] == "CONFLICT"  # it runs again, and finds the handle taken


def test_a_replay_comes_before_the_version_is_looked_at(writer, alice, public_key):
    agent = register_agent(alice, Profile("alice-labs", "Alice"), metadata=METADATA)
    path, document = f"{AGENTS}/{agent.id}/keys", {"public_key": public_key}
    first = post(writer, document, path=path, If_Match='"1"')
    assert first.status_code == 201
    assert post(writer, document, path=path, key="second", If_Match='"1"').status_code == 412
    again = post(writer, document, path=path, If_Match='"1"')
    assert (again.status_code, again.json()) == (201, first.json())


@pytest.fixture
def public_key():
    return "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="


def test_a_secret_is_neither_kept_nor_shown_again(alice):
    client = Client()
    client.force_login(alice)
    wanted = {"name": "mine", "scopes": [AGENTS_WRITE]}
    made = post(client, wanted, path="/api/tokens")
    assert made.status_code == 201
    again = post(client, wanted, path="/api/tokens")
    assert (again.status_code, again.json()["code"]) == (409, "ANSWER_NOT_KEPT")
    assert again.json()["facts"] == {"location": made["Location"], "status": 201}
    assert made.json()["token"] not in str(list(IdempotencyKey.objects.values()))
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "schlüssel", "a\tb"])
def test_an_unusual_key_is_refused(key):
    assert KEY.fullmatch(key) is None


def test_a_wrong_key_changes_nothing(writer):
    refused = post(writer, WANTED, key="x" * 256)
    assert (refused.status_code, refused.json()["field"]) == (422, "Idempotency-Key")
    assert not Agent.objects.exists()


def test_old_keys_are_forgotten(writer):
    post(writer, WANTED)
    delete_old()
    assert IdempotencyKey.objects.exists()
    IdempotencyKey.objects.update(claimed_at=timezone.now() - timedelta(days=1, seconds=1))
    delete_old()
    assert not IdempotencyKey.objects.exists()


def call(view, alice, key="first"):
    request = APIRequestFactory().post("/api/x", {}, "json", headers={"Idempotency-Key": key})
    force_authenticate(request, alice)
    return view(request)


@pytest.mark.django_db(transaction=True)
def test_events_and_answer_are_committed_together_or_not_at_all(alice):
    @api_view(["POST"])
    @idempotent()
    def slow(request):
        register_agent(alice, Profile("alice-labs", "Alice"), metadata=METADATA)
        IdempotencyKey.objects.update(claim=uuid4())  # another request has taken over
        return Response({})

    refused = call(slow, alice)
    assert refused.status_code == 409
    assert not Event.objects.exists()
    assert not Agent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_after_a_deadlock_the_whole_request_is_repeated(alice):
    class Deadlock(Exception):
        sqlstate = "40P01"

    attempts = itertools.count(1)

    @api_view(["POST"])
    @idempotent()
    def unlucky(request):
        number = next(attempts)
        agent = register_agent(alice, Profile("alice-labs", "Alice"), metadata=METADATA)
        if number < 3:
            raise OperationalError("deadlock detected") from Deadlock()
        return Response({"agent": agent.id, "attempt": number})

    answered = call(unlucky, alice)
    assert answered.data["attempt"] == 3
    assert Agent.objects.get().id == answered.data["agent"]
    assert IdempotencyKey.objects.get().status == 200
    assert call(unlucky, alice).content == b'{"agent":"%s","attempt":3}' % answered.data["agent"].encode()


@pytest.mark.django_db(transaction=True)
def test_of_requests_at_the_same_moment_one_is_carried_out(client_with):
    writer = client_with(AGENTS_WRITE)
    answers = in_threads(*[lambda: post(writer, WANTED)] * 4)
    assert {each.status_code for each in answers} <= {201, 409}
    assert {each.json()["id"] for each in answers if each.status_code == 201} == {Agent.objects.get().id}
    assert {each.json()["code"] for each in answers if each.status_code == 409} <= {"REQUEST_IN_FLIGHT"}
    assert Event.objects.count() == 1


def test_every_post_that_changes_state_honours_the_key():
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    posts = {each["post"]["operationId"]: each["post"] for each in paths.values() if "post" in each}
    keyed = {
        name
        for name, operation in posts.items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
    }
    assert keyed == set(posts) - COMPUTING
    assert set(posts) >= COMPUTING
