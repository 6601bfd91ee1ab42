"""A folder that fails leaves nothing half-written."""

import errno
from pathlib import Path
from typing import BinaryIO

import pytest

from latentmas import blobs
from latentmas.protocol.errors import StorageUnavailable

CONTENT = b"a memory"


def test_a_disk_that_fills_up_while_writing_leaves_nothing(own_files, files_in):
    def fill(file: BinaryIO) -> None:
        file.write(CONTENT)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageUnavailable, match="No space left on device") as refused:
        blobs.put(fill)
    assert refused.value.status == 507
    assert files_in("local") == []


def test_a_device_that_is_really_full_is_a_clear_error(own_files, files_in):
    def fill(file: BinaryIO) -> None:
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(CONTENT)

    with pytest.raises(StorageUnavailable, match="No space left on device"):
        blobs.put(fill)
    assert files_in("local") == []


def test_a_folder_that_cannot_be_written_is_a_clear_error(blobs_folder: Path) -> None:
    blobs_folder.write_text("a file where the folder should be")
    with pytest.raises(StorageUnavailable, match="could not be stored"):
        blobs.put_bytes(CONTENT)


def test_a_file_that_cannot_be_read_is_a_clear_error(own_files):
    digest = blobs.put_bytes(CONTENT)
    path = blobs.local_path(digest)
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageUnavailable, match=r"could not be read: Is a directory"):
        blobs.open_blob(digest)


def test_foreign_files_in_the_folder_are_not_listed(own_files):
    digest = blobs.put_bytes(CONTENT)
    (own_files / "blobs" / "ab").mkdir()
    (own_files / "blobs" / "ab" / "README").write_text("not ours")
    assert [each.digest for each in blobs.stored()] == [digest]
