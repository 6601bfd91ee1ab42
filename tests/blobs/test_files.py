"""Files named by their digest, whole or absent: what holds in a folder and in S3 alike."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import pytest

from latentmas import blobs
from latentmas.protocol.errors import InvalidInput, NotFound

CONTENT = b"a memory"
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def test_a_file_is_found_by_the_digest_of_its_content(storage):
    assert blobs.put_bytes(CONTENT) == DIGEST
    assert blobs.exists(DIGEST)
    assert blobs.size(DIGEST) == len(CONTENT)
    with blobs.open_blob(DIGEST) as file:
        assert file.read() == CONTENT
    assert blobs.digest_of(blobs.local_path(DIGEST)) == DIGEST


def test_the_same_content_is_stored_once(storage, files_in):
    blobs.put_bytes(CONTENT)
    blobs.put_bytes(CONTENT)
    assert len(files_in(storage)) == 1


def test_what_is_stored_can_be_listed(storage):
    digests = {blobs.put_bytes(content) for content in (b"one", b"three")}
    listed = list(blobs.stored())
    assert {each.digest for each in listed} == digests
    assert sorted(each.size for each in listed) == [3, 5]
    assert all(abs(each.modified - datetime.now(UTC)) < timedelta(minutes=1) for each in listed)


def test_a_deleted_file_is_gone_with_its_copies(storage, files_in):
    blobs.put_bytes(CONTENT)
    blobs.local_path(DIGEST)
    blobs.delete(DIGEST)
    assert files_in(storage) == []
    assert not blobs.exists(DIGEST)
    with pytest.raises(NotFound):
        blobs.local_path(DIGEST)
    blobs.delete(DIGEST)


def test_a_writer_that_fails_leaves_nothing(storage, files_in):
    def fail(file: BinaryIO) -> None:
        file.write(CONTENT)
        raise InvalidInput("no good")

    with pytest.raises(InvalidInput):
        blobs.put(fail)
    assert files_in(storage) == []


def test_a_file_that_is_put_again_after_a_day_is_young_again(storage, monkeypatch):
    blobs.put_bytes(CONTENT)
    (before,) = blobs.stored()
    monkeypatch.setattr("latentmas.blobs.files.FRESH", timedelta(0))
    blobs.put_bytes(CONTENT)
    (after,) = blobs.stored()
    assert after.modified >= before.modified
    assert blobs.open_blob(DIGEST).read() == CONTENT


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 32, DIGEST.upper(), DIGEST + "\n"]
)
def test_only_a_digest_names_a_file(own_files, digest):
    with pytest.raises(InvalidInput, match="is not a digest"):
        blobs.exists(digest)


@pytest.mark.parametrize("call", [blobs.open_blob, blobs.local_path, blobs.size])
def test_a_file_that_is_not_there_is_not_found(storage, call):
    assert not blobs.exists(DIGEST)
    with pytest.raises(NotFound, match=DIGEST):
        call(DIGEST)
