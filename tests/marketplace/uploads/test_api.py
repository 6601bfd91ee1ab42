import fcntl
import hashlib
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.http import UnreadablePostError
from django.test import Client
from django.utils import timezone

from latentmas import blobs
from latentmas.blobs.sweeping import sweep
from latentmas.rest.scopes import MEMORIES_READ, W_MATRICES_PUBLISH
from marketplace.accounts.commands import create_token
from marketplace.agents.commands import Profile, register_agent
from marketplace.uploads import commands
from marketplace.uploads.models import Upload
from marketplace.uploads.tasks import remove_expired
from tests.marketplace.sample import METADATA

pytestmark = pytest.mark.django_db
UPLOADS = "/api/uploads"
FILE = bytes(range(256)) * 40
SIZE = len(FILE)
DIGEST = f"sha256:{hashlib.sha256(FILE).hexdigest()}"


def begin(client, *, size=SIZE, digest=DIGEST):
    return client.post(UPLOADS, {"size": size, "digest": digest}, "application/json")


def send(client, url, data, offset):
    return client.patch(url, data, "application/octet-stream", headers={"Upload-Offset": str(offset)})


def test_a_file_arrives_in_pieces_and_is_stored_with_the_last(publisher):
    begun = begin(publisher)
    assert (begun.status_code, begun["Upload-Offset"]) == (201, "0")
    url = begun["Location"]
    first = send(publisher, url, FILE[:1000], 0)
    assert (first.json()["offset"], first.json()["stored"]) == (1000, False)
    assert publisher.get(url)["Upload-Offset"] == "1000"
    last = send(publisher, url, FILE[1000:], 1000)
    assert (last.status_code, last.json()["stored"], last.json()["offset"]) == (200, True, len(FILE))
    with blobs.open_blob(DIGEST) as file:
        assert file.read() == FILE


def test_an_upload_that_broke_off_goes_on_where_its_bytes_end(publisher, seller):
    row = Upload.objects.get(id=begin(publisher).json()["id"])
    pieces = iter([FILE[:3000]])

    def broken(size):
        return next(pieces, b"")

    commands.continue_upload(row, broken, offset=0, length=len(FILE))
    assert publisher.get(f"{UPLOADS}/{row.id}").json()["offset"] == 3000
    assert send(publisher, f"{UPLOADS}/{row.id}", FILE[3000:], 3000).json()["stored"]


def test_a_broken_connection_ends_the_body(rf):
    from marketplace.uploads.receiving import read_chunk

    class Broken:
        class _request:  # noqa: N801
            @staticmethod
            def read(size):
                raise UnreadablePostError("connection reset")

    assert read_chunk(Broken(), 10) == b""


@pytest.mark.parametrize("offset", [0, 999, 1001])
def test_bytes_that_do_not_begin_where_the_upload_ends_are_refused(publisher, offset):
    url = begin(publisher)["Location"]
    send(publisher, url, FILE[:1000], 0)
    refused = send(publisher, url, FILE[1000:], offset)
    assert (refused.status_code, refused.json()["code"]) == (409, "UPLOAD_OFFSET_MISMATCH")
    assert refused.json()["facts"]["offset"] == 1000
    assert publisher.get(url).json()["offset"] == 1000


def test_the_last_piece_a_second_time_is_told_that_the_file_is_there(publisher):
    url = begin(publisher)["Location"]
    send(publisher, url, FILE, 0)
    again = send(publisher, url, FILE, 0)
    assert (again.status_code, again.json()["facts"]["offset"]) == (409, len(FILE))


def test_a_file_that_is_not_the_announced_one_is_discarded(publisher):
    url = begin(publisher)["Location"]
    refused = send(publisher, url, FILE[::-1], 0)
    assert (refused.status_code, refused.json()["code"]) == (422, "DIGEST_MISMATCH")
    came = f"sha256:{hashlib.sha256(FILE[::-1]).hexdigest()}"
    assert (refused.json()["facts"]["expected"], refused.json()["facts"]["came"]) == (DIGEST, came)
    assert publisher.get(url).status_code == 404
    assert not blobs.exists(came)
    assert not blobs.exists(DIGEST)


def test_more_bytes_than_were_announced_are_refused_before_they_are_read(publisher):
    url = begin(publisher, size=100)["Location"]
    refused = send(publisher, url, FILE[:101], 0)
    assert (refused.status_code, refused.json()["facts"]["limit"]) == (413, 100)
    assert publisher.get(url).json()["offset"] == 0


def test_a_file_that_is_too_large_is_refused_when_it_is_announced(publisher, settings):
    settings.W_MATRIX_MAX_BYTES = 5000
    assert begin(publisher, size=5001).json()["code"] == "TOO_LARGE"
    assert begin(publisher, size=5000).status_code == 201


@pytest.mark.parametrize("given", ["", "-1", "1.5", "0x10", "9" * 20])
def test_the_offset_must_be_a_number(publisher, given):
    refused = send(publisher, begin(publisher)["Location"], b"x", given)
    assert (refused.status_code, refused.json()["field"]) == (422, "Upload-Offset")


def test_two_requests_never_write_at_once(publisher):
    row = Upload.objects.get(id=begin(publisher).json()["id"])
    with commands._partial(row) as file:
        assert fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB) is None
        refused = send(publisher, f"{UPLOADS}/{row.id}", FILE, 0)
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")


def test_an_agent_has_a_bounded_number_of_uploads(publisher, settings):
    settings.UPLOADS_OPEN = 1
    url = begin(publisher)["Location"]
    assert begin(publisher).status_code == 409
    assert publisher.delete(url).status_code == 204
    assert begin(publisher).status_code == 201


def test_uploads_are_their_owners_alone(publisher):
    url = begin(publisher)["Location"]
    bob = User.objects.create_user("bob")
    register_agent(bob, Profile("bobs-maps", "Bob"), metadata=METADATA)
    stranger = Client(
        headers={"Authorization": f"Bearer {create_token(bob, name='t', scopes=[W_MATRICES_PUBLISH])[1]}"}
    )
    assert stranger.get(url).status_code == 404
    assert send(stranger, url, FILE, 0).status_code == 404
    assert stranger.delete(url).status_code == 404
    assert stranger.get(UPLOADS).json() == {"results": []}


def test_it_needs_the_scope_and_an_agent(client, client_with):
    assert begin(client).status_code == 401
    assert begin(client_with(MEMORIES_READ)).status_code == 403
    assert begin(client_with(W_MATRICES_PUBLISH)).json()["code"] == "AGENT_REQUIRED"


def test_an_expired_upload_is_gone_with_its_bytes(publisher, own_files):
    url = begin(publisher)["Location"]
    send(publisher, url, FILE[:10], 0)
    (partial,) = (own_files / "uploads").iterdir()
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert publisher.get(url).status_code == 404
    remove_expired()
    assert not partial.exists()
    assert not Upload.objects.exists()


def test_the_sweep_spares_the_file_of_an_upload_until_it_expires(publisher):
    send(publisher, begin(publisher)["Location"], FILE, 0)
    assert sweep(older_than=timedelta(0)).orphans == ()
    Upload.objects.all().delete()
    assert [each.digest for each in sweep(older_than=timedelta(0)).orphans] == [DIGEST]
