"""File addresses with S3: the same checks as before, then a redirect to where the storage itself serves the file."""

import base64
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.test import Client, override_settings
from django.utils import timezone

from kvcache.server.payloads import Given, to_file
from latentmas import blobs
from latentmas.rest.scopes import CALIBRATION_PACKS_WRITE, MEMORIES_READ, MEMORIES_WRITE, W_MATRICES_PUBLISH
from marketplace.agents.commands import Profile, register_agent
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle.commands import change_access, yank_version
from marketplace.listings.models import ListingVersion
from tests.awareness_sdk.test_kv_cache import published
from tests.factory.synthetic import Synthetic, upload
from tests.marketplace import sample
from tests.marketplace.exchange.sample import memory

pytestmark = pytest.mark.django_db
FILE = "application/vnd.safetensors"


@pytest.fixture
def registry(bucket, load_models):
    load_models("smollm2-135m", "gemma-3-270m", "gpt-4")


@pytest.fixture
def listed(registry):
    """The address of a W-Matrix file."""
    listing = sample.make_listing(at=timezone.now())
    return f"/api/w-matrices/{listing}/versions/1.0.0/file"


def signed(response):
    """Return the parameters of the URL that a redirect leads to."""
    assert response.status_code == 302
    return {name: value for name, (value,) in parse_qs(urlsplit(response["Location"]).query).items()}


def names_its_digest(response, digest):
    raw = base64.b64decode(response["Repr-Digest"].removeprefix("sha-256=:").removesuffix(":"))
    return response["ETag"] == f'"{digest}"' and f"sha256:{raw.hex()}" == digest


def test_a_w_matrix_file_is_fetched_from_s3_by_a_url_that_expires(listed, client, s3_server):
    row, response = ListingVersion.objects.get(), client.get(listed)
    parameters = signed(response)
    assert response["Location"].startswith(s3_server)
    assert parameters["X-Amz-Expires"] == "300"
    assert parameters["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert response["Cache-Control"] == "public, max-age=150"
    assert response["X-LatentMAS-Basis"] == "functional"
    assert names_its_digest(response, row.file_digest)
    came = httpx.get(response["Location"], headers={"Range": "bytes=0-3"})
    assert (came.status_code, came.content) == (206, b"test")
    assert came.headers["Content-Disposition"] == 'attachment; filename="smollm2-135m--gemma-3-270m--1.0.0.safetensors"'


def test_a_gated_file_goes_by_a_link_of_a_minute_and_never_through_the_cdn(registry, configure, alice, client_with):
    configure(cdn_url="https://cdn.example/files")
    agent = register_agent(alice, Profile("alice-labs", "Alice"), metadata=sample.METADATA).id
    listing = sample.make_listing(seller=agent)
    change_access(listing, access=Access.GATED, by=sample.CURATOR)
    response = client_with(W_MATRICES_PUBLISH).get(f"/api/w-matrices/{listing}/versions/1.0.0/file")
    assert (response.status_code, response["Cache-Control"]) == (302, "private, no-store")
    assert "cdn.example" not in response["Location"]
    assert signed(response)["X-Amz-Expires"] == "60"
    assert signed(response)["response-cache-control"] == "private, no-store"


def test_head_leads_to_a_url_for_head(listed, client):
    response = client.head(listed)
    assert names_its_digest(response, ListingVersion.objects.get().file_digest)
    came = httpx.head(response["Location"])
    assert (came.status_code, int(came.headers["Content-Length"])) == (200, ListingVersion.objects.get().file_size)
    assert signed(response)["X-Amz-Signature"] != signed(client.get(listed))["X-Amz-Signature"]


def test_who_has_the_file_is_led_nowhere(listed, client):
    assert client.get(listed, headers={"If-None-Match": client.get(listed)["ETag"]}).status_code == 304


def test_a_withdrawn_file_is_withdrawn_before_any_redirect(listed, client):
    yank_version(listed.split("/")[3], version="1.0.0", reason="Broken.", by=sample.CURATOR)
    assert client.get(listed).status_code == 410


def test_a_file_that_is_gone_is_not_found(listed, client):
    blobs.delete(ListingVersion.objects.get().file_digest)
    assert client.get(listed).json()["code"] == "NOT_FOUND"


def test_public_files_are_fetched_from_the_cdn(listed, client, configure):
    configure(cdn_url="https://cdn.example/files")
    name = ListingVersion.objects.get().file_digest.removeprefix("sha256:")
    response = client.get(listed)
    assert (response.status_code, response["Location"]) == (302, f"https://cdn.example/files/{name[:2]}/{name}")
    assert response["Cache-Control"] == "public, max-age=150"


def test_a_codec_profile_is_fetched_from_s3(registry, client):
    digest = published()
    response = client.get(f"/api/kv-cache/profiles/{digest}")
    assert names_its_digest(response, digest)
    assert httpx.get(response["Location"]).content == b"a profile"


def test_a_pack_is_kept_in_s3_and_fetched_from_there(registry, client_with, tmp_path, files_in):
    data = Synthetic("gpt-4").bytes(tmp_path)
    answer = upload(client_with(CALIBRATION_PACKS_WRITE), data).json()
    assert files_in("s3") == [f"files/{answer['digest'][7:9]}/{answer['digest'][7:]}"]
    response = Client().get(f"{answer['url']}/file")
    assert names_its_digest(response, answer["digest"])
    assert httpx.get(response["Location"]).content == data


def test_a_memory_is_its_owners_alone_and_never_on_the_cdn(
    registry, client_with, configure, s3_server, django_capture_on_commit_callbacks, files_in
):
    configure(cdn_url="https://cdn.example")
    owner, data = client_with(MEMORIES_READ, MEMORIES_WRITE), to_file(Given(memory(3)))
    document = owner.post("/api/stored-memories", data, FILE).json()
    for stranger in (Client(), client_with(CALIBRATION_PACKS_WRITE)):
        refused = stranger.get(document["file_url"])
        assert refused.status_code in (401, 403)
        assert "Location" not in refused
    response = owner.get(document["file_url"])
    assert response["Location"].startswith(s3_server)
    assert response["Cache-Control"] == "private, no-store"
    assert signed(response)["response-cache-control"] == "private, no-store"
    assert names_its_digest(response, document["digest"])
    assert httpx.get(response["Location"]).content == data
    with django_capture_on_commit_callbacks(execute=True):
        assert owner.delete(document["url"]).status_code == 204
    assert files_in("s3") == []
    assert not httpx.get(response["Location"]).is_success


def test_a_storage_that_is_away_is_503_and_says_when_to_come_again(listed, registry, client_with, proxied):
    owner = client_with(MEMORIES_READ, MEMORIES_WRITE)
    proxied(broken=True)
    stored = owner.post("/api/stored-memories", to_file(Given(memory(3))), FILE)
    for response in (Client().get(listed), Client().get(listed.replace("/file", "/report")), stored):
        assert (response.status_code, response.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
        assert response["Retry-After"] == "30"
        assert "127.0.0.1" not in response.content.decode()
    assert owner.get("/api/stored-memories").json()["results"] == []


def test_a_memory_is_deleted_even_where_its_storage_is_away(
    registry, client_with, proxied, django_capture_on_commit_callbacks
):
    owner = client_with(MEMORIES_READ, MEMORIES_WRITE)
    document = owner.post("/api/stored-memories", to_file(Given(memory(3))), FILE).json()
    proxied(broken=True)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        assert owner.delete(document["url"]).status_code == 204
    assert callbacks
    assert owner.get(document["url"]).status_code == 404


@override_settings(BLOBS_URL_SECONDS=60)
def test_a_redirect_is_kept_for_half_the_life_of_its_url(listed, client):
    assert client.get(listed)["Cache-Control"] == "public, max-age=30"
