import base64
import hashlib

import pytest

from latentmas import blobs
from marketplace.listings.lifecycle.commands import yank_version
from marketplace.listings.models import Listing
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
LIST = "/api/w-matrices"


def test_the_file_comes_with_its_digest(client, certified):
    response = client.get(f"{LIST}/{certified}/versions/1.0.0/file")
    content = b"".join(response.streaming_content)
    sha256 = hashlib.sha256(content)
    assert response["Content-Type"] == "application/vnd.safetensors"
    assert response["ETag"] == f'"sha256:{sha256.hexdigest()}"'
    assert response["Repr-Digest"] == f"sha-256=:{base64.b64encode(sha256.digest()).decode()}:"
    assert int(response["Content-Length"]) == len(content)
    assert "smollm2-135m--gemma-3-270m--1.0.0.safetensors" in response["Content-Disposition"]
    assert response["X-LatentMAS-Basis"] == "functional"


def test_a_known_file_is_not_sent_again(client, certified):
    address = f"{LIST}/{certified}/versions/1.0.0/file"
    etag = client.get(address)["ETag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        assert client.get(address, headers={"If-None-Match": known}).status_code == 304
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-3", slice(0, 4)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-4", slice(-4, None)),
        ("bytes=2-99999999", slice(2, None)),
    ],
)
def test_a_range_of_the_file_can_be_asked_for(client, certified, header, part):
    address = f"{LIST}/{certified}/versions/1.0.0/file"
    whole = b"".join(client.get(address).streaming_content)
    response = client.get(address, headers={"Range": header})
    assert response.status_code == 206
    assert b"".join(response.streaming_content) == whole[part]
    assert int(response["Content-Length"]) == len(whole[part])


def test_a_range_beyond_the_file_is_refused(client, certified):
    response = client.get(f"{LIST}/{certified}/versions/1.0.0/file", headers={"Range": "bytes=99999999-"})
    assert response.status_code == 416
    assert response["Content-Range"].startswith("bytes */")
    assert response.json()["code"] == "RANGE_NOT_SATISFIABLE"


def test_a_range_of_another_file_brings_the_whole(client, certified):
    headers = {"Range": "bytes=0-3", "If-Range": '"sha256:0"'}
    assert client.get(f"{LIST}/{certified}/versions/1.0.0/file", headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["checksum", "expectedChecksum", "checksumSHA256"])
def test_verify_knows_a_checksum(client, certified, key):
    digest = Listing.objects.get().file_digest.removeprefix("sha256:").upper()
    document = client.post(f"{LIST}/verify", {key: digest}, "application/json").json()
    assert document["valid"] is True
    assert document["matches"][0]["version"] == "1.0.0"


def test_verify_hashes_a_file(client, certified):
    with blobs.open_blob(Listing.objects.get().file_digest) as file:
        content = file.read()
    for body, valid in ((content, True), (content[:-1] + b"x", False)):
        document = client.post(f"{LIST}/verify", body, "application/vnd.safetensors").json()
        assert document["valid"] is valid
        assert document["digest"] == "sha256:" + hashlib.sha256(body).hexdigest()


def test_verify_does_not_vouch_for_a_yanked_file(client, certified):
    digest = Listing.objects.get().file_digest
    yank_version(certified, version="1.0.0", reason="Broken.", by=sample.CURATOR)
    document = client.post(f"{LIST}/verify", {"checksum": digest}, "application/json").json()
    assert (document["valid"], document["matches"][0]["yanked"]) == (False, True)
