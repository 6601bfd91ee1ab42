"""`move_blobs` there and back: whole, resumable, and verified."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from latentmas.blobs.backends import named
from latentmas.blobs.naming import name_of
from tests.blobs.test_s3 import object_of

CONTENTS = (b"one", b"two", b"three")


@pytest.fixture
def digests(bucket, settings):
    """Three files in the local folder."""
    from latentmas import blobs

    s3 = settings.STORAGES["blobs"]
    settings.STORAGES = settings.STORAGES | {"blobs": settings.STORAGES["local"]}
    put = [blobs.put_bytes(content) for content in CONTENTS]
    settings.STORAGES = settings.STORAGES | {"blobs": s3}
    return put


def moved(source, target, *options):
    out, err = StringIO(), StringIO()
    try:
        call_command("move_blobs", *options, source=source, target=target, stdout=out, stderr=err)
    except CommandError as error:
        return f"{out.getvalue()}{err.getvalue()}{error}"
    return out.getvalue()


def held(storage):
    return {each.digest for each in named(storage).files()}


def test_there_and_back(digests, own_files):
    assert "3 files copied (11 bytes), 0 were there already" in moved("local", "s3", "--verify")
    assert held("local") == held("s3") == set(digests)
    assert "0 files copied (0 bytes), 3 were there already" in moved("local", "s3", "--verify", "--delete-source")
    assert held("local") == set()
    assert "3 files copied" in moved("s3", "local", "--delete-source")
    assert (held("local"), held("s3")) == (set(digests), set())
    for digest, content in zip(digests, CONTENTS, strict=True):
        assert named("local").path_of(name_of(digest)).read_bytes() == content
    assert not list((own_files / "cache/incoming").glob("*"))


def test_a_dry_run_copies_nothing(digests):
    named("s3").keep(named("local").path_of(name_of(digests[0])), name_of(digests[0]))
    assert "2 files (8 bytes) would be copied; 1 (3 bytes) are there already." in moved("local", "s3", "--dry-run")
    assert held("s3") == {digests[0]}


def test_a_file_that_is_damaged_at_its_source_is_not_copied_and_is_named(digests):
    path = named("local").path_of(name_of(digests[1]))
    path.write_bytes(b"owt")
    said = moved("local", "s3", "--delete-source")
    assert f"{digests[1]}: the source's file is damaged" in said
    assert "2 files copied" in said
    assert "1 failed" in said
    assert held("s3") == {digests[0], digests[2]}
    assert path.exists()


def test_a_damaged_object_is_refused_on_the_way_back(digests, bucket):
    moved("local", "s3", "--delete-source")
    object_of(bucket, digests[1]).put(Body=b"owt")
    assert f"{digests[1]}: the stored file {digests[1]} is damaged" in moved("s3", "local")
    assert held("local") == {digests[0], digests[2]}


@pytest.mark.parametrize("damage", [b"owt", b"tw"])
def test_a_wrong_file_at_the_target_is_copied_again(digests, bucket, damage):
    moved("local", "s3")
    object_of(bucket, digests[1]).put(Body=damage)
    assert "1 files copied (3 bytes), 2 were there already" in moved("local", "s3", "--verify")
    assert object_of(bucket, digests[1]).get()["Body"].read() == b"two"


def test_a_storage_that_goes_away_ends_the_move_and_loses_nothing(digests, proxied, monkeypatch):
    monkeypatch.setattr("latentmas.blobs.moving.AWAY_IN_A_ROW", 2)
    proxied(broken=True)
    said = moved("local", "s3", "--delete-source")
    assert "2 failed" in said
    assert "1 files were not tried, as a storage does not answer" in said
    assert held("local") == set(digests)
    proxied()
    assert "3 files copied" in moved("local", "s3")


def test_a_move_to_where_it_comes_from_is_refused(digests):
    assert "--from and --to are both s3" in moved("s3", "s3")


def test_without_a_bucket_it_says_what_to_set(own_files):
    assert "set BLOBS_S3_BUCKET" in moved("local", "s3")
