"""Files named by their digest: whole or absent."""

import errno
import hashlib
from pathlib import Path
from typing import BinaryIO

import pytest

from latentmas import blobs
from latentmas.protocol.errors import InvalidInput, NotFound, StorageUnavailable

CONTENT = b"a memory"
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


pytestmark = pytest.mark.usefixtures("blobs_folder")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_is_found_by_the_digest_of_its_content() -> None:
    assert blobs.put_bytes(CONTENT) == DIGEST
    assert blobs.open_blob(DIGEST).read() == CONTENT
    assert blobs.size(DIGEST) == len(CONTENT)
    assert blobs.digest_of(blobs.local_path(DIGEST)) == DIGEST


def test_the_same_content_is_stored_once(blobs_folder: Path) -> None:
    blobs.put_bytes(CONTENT)
    blobs.put_bytes(CONTENT)
    assert len(files(blobs_folder)) == 1


def test_a_disk_that_fills_up_while_writing_leaves_nothing(blobs_folder: Path) -> None:
    def fill(file: BinaryIO) -> None:
        file.write(CONTENT)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageUnavailable, match="No space left on device"):
        blobs.put(fill)
    assert files(blobs_folder) == []


def test_a_writer_that_fails_leaves_nothing(blobs_folder: Path) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(CONTENT)
        raise InvalidInput("no good")

    with pytest.raises(InvalidInput):
        blobs.put(fail)
    assert files(blobs_folder) == []


def test_a_folder_that_cannot_be_written_is_a_clear_error(blobs_folder: Path) -> None:
    blobs_folder.write_text("a file where the folder should be")
    with pytest.raises(StorageUnavailable, match="could not be stored"):
        blobs.put_bytes(CONTENT)


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 32, DIGEST.upper(), DIGEST + "\n"]
)
def test_only_a_digest_names_a_file(digest: str) -> None:
    with pytest.raises(InvalidInput, match="is not a digest"):
        blobs.exists(digest)


def test_a_file_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        blobs.open_blob(DIGEST)
    with pytest.raises(NotFound):
        blobs.local_path(DIGEST)
