"""Files in S3, over HTTP against moto's server: checked on the way in and out, and nothing visible of what failed."""

import base64
import hashlib
import os
import re
from datetime import UTC, datetime, timedelta

import pytest
from boto3.s3.transfer import TransferConfig

from benchmarks.jobs.brokers import free_port
from latentmas import blobs
from latentmas.blobs.backends import chosen
from latentmas.protocol.errors import StorageAway, StorageUnavailable

CONTENT = b"a memory"
PART = 5 << 20  # the least that S3 takes
LARGE = os.urandom(2 * PART + 300_000)
HEADER = re.compile(rb"x-amz-checksum-sha256", re.IGNORECASE)


def in_parts() -> TransferConfig:
    return TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=1)


def object_of(bucket, digest):
    name = digest.removeprefix("sha256:")
    return bucket.Object(f"files/{name[:2]}/{name}")


def test_the_object_lies_under_its_digest_with_the_checksum_that_s3_compares(bucket, proxied):
    proxy = proxied()
    digest = blobs.put_bytes(CONTENT)
    kept = object_of(bucket, digest)
    assert kept.get()["Body"].read() == CONTENT
    sent = kept.meta.client.head_object(Bucket=bucket.name, Key=kept.key, ChecksumMode="ENABLED")
    assert base64.b64decode(sent["ChecksumSHA256"]) == hashlib.sha256(CONTENT).digest()
    assert HEADER.search(bytes(proxy.heard))


def test_a_large_file_goes_in_parts_each_with_its_checksum(bucket, configure, proxied):
    proxy = proxied()
    configure(transfer_config=in_parts())
    digest = blobs.put_bytes(LARGE)
    kept = object_of(bucket, digest)
    assert kept.e_tag.strip('"').endswith("-3")
    assert kept.get()["Body"].read() == LARGE
    assert len(HEADER.findall(bytes(proxy.heard))) >= 3
    assert blobs.local_path(digest).read_bytes() == LARGE


@pytest.mark.parametrize("sent", [1000, PART + 100_000, 2 * PART + 100_000])
def test_a_connection_that_is_cut_half_way_leaves_nothing_visible(bucket, configure, proxied, sent):
    proxied(cut_sent=sent)
    configure(transfer_config=in_parts())
    with pytest.raises(StorageAway, match="does not answer"):
        blobs.put_bytes(LARGE)
    assert list(bucket.objects.all()) == []
    assert not any(chosen().incoming.iterdir())


def test_a_part_that_is_refused_aborts_the_upload(bucket, configure, files_in):
    configure(transfer_config=in_parts())
    client = chosen().client

    def number_wrongly(request, **_):
        request.url = request.url.replace("partNumber=3", "partNumber=99999")

    client.meta.events.register("before-send.s3.UploadPart", number_wrongly)
    with pytest.raises(StorageAway):
        blobs.put_bytes(LARGE)
    assert files_in("s3") == []


def test_what_a_dead_writer_left_is_removed(bucket):
    bucket.Object("files/ab/abandoned").initiate_multipart_upload()
    bucket.Object("elsewhere").initiate_multipart_upload()
    storage = chosen()
    storage.incoming.mkdir(parents=True)
    (storage.incoming / ".incoming-1").write_text("half")
    day_ago = datetime.now(UTC) - timedelta(days=1)
    assert storage.discard_unfinished(day_ago) == 1  # to moto every upload began in 2010
    assert [path.name for path in storage.incoming.iterdir()] == [".incoming-1"]
    assert storage.discard_unfinished(datetime.now(UTC) + timedelta(minutes=1)) == 1
    assert [each.object_key for each in bucket.multipart_uploads.all()] == ["elsewhere"]


def test_s3_that_answers_500_is_away(bucket, proxied):
    digest = blobs.put_bytes(CONTENT)
    proxied(broken=True)
    for call in (blobs.exists, blobs.size, blobs.open_blob, blobs.local_path, blobs.delete):
        with pytest.raises(StorageAway):
            call(digest)
    with pytest.raises(StorageAway) as refused:
        blobs.put_bytes(b"another")
    assert (refused.value.code, refused.value.status) == ("STORAGE_UNAVAILABLE", 503)
    assert len(list(bucket.objects.all())) == 1


def test_a_server_that_is_not_there_is_away(bucket, configure, monkeypatch):
    monkeypatch.setattr("latentmas.blobs.s3.ATTEMPTS", 1)
    configure(endpoint_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StorageAway):
        blobs.put_bytes(CONTENT)
    with pytest.raises(StorageAway):
        list(blobs.stored())


def test_a_bucket_that_does_not_exist_takes_nothing(bucket, configure, caplog):
    configure(bucket_name="another-bucket")
    with pytest.raises(StorageAway):
        blobs.put_bytes(CONTENT)
    assert "NoSuchBucket" in caplog.text


def test_a_download_that_is_cut_half_way_leaves_nothing(bucket, proxied, own_files):
    digest = blobs.put_bytes(LARGE)
    proxied(cut_received=PART)
    with pytest.raises(StorageAway):
        blobs.local_path(digest)
    assert [path for path in (own_files / "cache").rglob("*") if path.is_file()] == []


def test_what_comes_with_another_digest_is_refused(bucket, own_files):
    digest = blobs.put_bytes(CONTENT)
    object_of(bucket, digest).put(Body=b"a mammary")
    for call in (blobs.local_path, blobs.open_blob):
        with pytest.raises(StorageUnavailable, match="is damaged"):
            call(digest)
    assert [path for path in (own_files / "cache").rglob("*") if path.is_file()] == []


def test_a_public_file_is_fetched_once_and_a_private_one_leaves_no_copy(bucket, own_files, proxied):
    digest = blobs.put_bytes(CONTENT)
    assert blobs.open_blob(digest).read() == CONTENT
    assert [path for path in (own_files / "cache").rglob("*") if path.is_file()] == []
    path = blobs.local_path(digest)
    proxied(broken=True)
    assert blobs.local_path(digest) == path
