from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from kvcache.compression.compressor import compress
from kvcache.server.payloads import Given, to_file
from kvcache.server.queries import get_adapter
from latentmas import blobs
from latentmas.rest.scopes import KV_CACHE_COMPUTE, MEMORIES_READ
from marketplace.memories import commands
from marketplace.memories.models import StoredMemory
from tests.marketplace.exchange.sample import memory
from tests.marketplace.sample import SOURCE

pytestmark = pytest.mark.django_db
MEMORIES = "/api/stored-memories"
FILE = "application/vnd.safetensors"


def stored(api: Client, tokens: int = 3, **known: Any) -> dict[str, Any]:
    response = api.post(MEMORIES, to_file(Given(memory(tokens, **known))), FILE)
    assert response.status_code == 201, response.content
    return dict(response.json())


@pytest.fixture
def bob(registry) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("bob"))
    return client


def test_a_memory_is_kept_with_what_its_file_says(api):
    document = stored(api)
    assert (document["kind"], document["model"], document["tokens"]) == ("raw", SOURCE, 4)
    assert document["weights"] == "sha256:" + "a" * 64
    assert api.get(document["url"]).json() == document
    assert api.get(MEMORIES).json()["results"] == [document]


def test_its_file_is_downloaded_as_it_was_stored(api):
    data = to_file(Given(memory(3)))
    document = api.post(MEMORIES, data, FILE).json()
    response = api.get(document["file_url"])
    assert b"".join(response.streaming_content) == data
    assert response["Cache-Control"] == "private, no-store"


def test_a_compressed_memory_is_kept_as_it_is(api):
    kvz = compress(memory(), adapter=get_adapter(SOURCE), method="raw").data
    document = api.post(MEMORIES, kvz, FILE).json()
    assert (document["kind"], document["size"], document["profile"]) == ("kvz", len(kvz), None)


def test_the_same_file_is_kept_once(api):
    first = stored(api)
    again = api.post(MEMORIES, to_file(Given(memory(3))), FILE)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert StoredMemory.objects.count() == 1


def test_another_spelling_is_kept_under_the_registrys_name(api):
    assert stored(api, model="SmolLM2-135M")["model"] == SOURCE


def test_others_do_not_see_it(api, bob):
    document = stored(api)
    assert bob.get(MEMORIES).json()["results"] == []
    for response in (bob.get(document["url"]), bob.get(document["file_url"]), bob.delete(document["url"])):
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    assert StoredMemory.objects.exists()


def test_a_deleted_memory_is_gone_with_its_file(api, django_capture_on_commit_callbacks):
    document = stored(api)
    with django_capture_on_commit_callbacks(execute=True):
        assert api.delete(document["url"]).status_code == 204
    assert not blobs.exists(document["digest"])
    assert api.get(document["url"]).status_code == 404


def test_the_file_stays_while_somebody_else_keeps_the_same(api, bob, django_capture_on_commit_callbacks):
    document, theirs = stored(api), stored(bob)
    with django_capture_on_commit_callbacks(execute=True):
        api.delete(document["url"])
    assert blobs.exists(document["digest"])
    assert bob.get(theirs["url"]).status_code == 200


def test_the_files_go_with_the_account(api, alice, django_capture_on_commit_callbacks):
    document = stored(api)
    with django_capture_on_commit_callbacks(execute=True):
        alice.delete()
    assert not blobs.exists(document["digest"])


def test_reading_and_writing_are_scopes_of_their_own(client_with, registry):
    reader, computer = client_with(MEMORIES_READ), client_with(KV_CACHE_COMPUTE)
    assert reader.get(MEMORIES).status_code == 200
    assert reader.post(MEMORIES, b"x", FILE).status_code == 403
    assert computer.get(MEMORIES).status_code == 403
    assert Client().get(MEMORIES).status_code == 401


def test_an_account_keeps_so_many(api, monkeypatch):
    monkeypatch.setattr(commands, "MAX_MEMORIES", 1)
    stored(api)
    response = api.post(MEMORIES, to_file(Given(memory(4))), FILE)
    assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")


def test_a_file_beyond_the_limit_is_refused(api):
    with override_settings(KV_CACHE_MAX_BYTES=10_000):
        assert api.post(MEMORIES, to_file(Given(memory(3))), FILE).status_code == 413


@pytest.mark.parametrize(
    ("known", "code"),
    [({"model": None}, "INVALID_INPUT"), ({"model": "gpt-5000"}, "MODEL_NOT_SUPPORTED")],
)
def test_a_memory_of_no_known_model_is_refused(api, known, code):
    response = api.post(MEMORIES, to_file(Given(memory(3, **known))), FILE)
    assert response.json()["code"] == code
    assert not StoredMemory.objects.exists()


def test_a_memory_that_does_not_fit_its_model_is_refused(api):
    response = api.post(MEMORIES, to_file(Given(memory(3, model="llama-3-8b"))), FILE)
    assert (response.status_code, response.json()["code"]) == (422, "DIMENSION_MISMATCH")


@pytest.mark.parametrize("data", [b"x", b"\x00" * 100])
def test_garbage_is_refused(api, data):
    assert api.post(MEMORIES, data, FILE).status_code == 422


def test_json_is_no_memory(api):
    assert api.post(MEMORIES, {}, "application/json").status_code == 415


def test_curators_see_how_much_is_kept(api, admin_client):
    document = stored(api)
    page = admin_client.get("/admin/memories/storedmemory/")
    assert document["id"] in page.content.decode()
