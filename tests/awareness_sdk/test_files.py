"""Files that the server keeps in S3: the client follows, keeps its key to itself, and checks what comes."""

import pytest

from awareness_sdk import AwarenessError
from awareness_sdk.errors import ServerFailed
from kvcache.server.payloads import Given, to_file
from latentmas.rest.scopes import MEMORIES_READ, MEMORIES_WRITE
from tests.awareness_sdk.test_kv_cache import published
from tests.blobs.proxy import Proxy
from tests.blobs.test_s3 import object_of
from tests.marketplace.exchange.sample import memory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def elsewhere(bucket, s3_server, settings):
    """S3 behind a proxy that keeps what it hears."""
    with Proxy(s3_server) as proxy:
        backend = settings.STORAGES["blobs"]
        backend = backend | {"OPTIONS": backend["OPTIONS"] | {"endpoint_url": proxy.address}}
        settings.STORAGES = settings.STORAGES | {"blobs": backend}
        yield proxy


@pytest.fixture
def owner(elsewhere, sdk_with):
    return sdk_with(MEMORIES_READ, MEMORIES_WRITE)


def test_a_memory_comes_from_elsewhere_which_never_sees_the_key(owner, elsewhere):
    data = to_file(Given(memory(3)))
    kept = owner.memories.upload(data)
    elsewhere.heard.clear()
    assert owner.memories.download(kept["id"]) == data
    heard = bytes(elsewhere.heard).lower()
    assert b"x-amz-signature=" in heard
    assert b"bearer" not in heard
    assert b"lmas_" not in heard


def test_a_profile_comes_from_elsewhere(owner, tmp_path):
    path = owner.kv_cache.download_profile(published(), tmp_path / "profile")
    assert path.read_bytes() == b"a profile"


def test_what_comes_with_another_digest_is_refused(owner, bucket, tmp_path):
    kept, profile = owner.memories.upload(memory(3)), published()
    for digest in (kept["digest"], profile):
        object_of(bucket, digest).put(Body=b"something else")
    with pytest.raises(AwarenessError, match="WRONG_DIGEST"):
        owner.memories.download(kept["id"])
    with pytest.raises(AwarenessError, match="WRONG_DIGEST"):
        owner.kv_cache.download_profile(profile, tmp_path / "profile")
    assert list(tmp_path.glob("profile*")) == []


def test_a_failure_of_the_storage_is_not_taken_for_a_wrong_key(owner, bucket, settings):
    kept = owner.memories.upload(memory(3))
    backend = settings.STORAGES["blobs"]
    # A CDN that has nothing.
    options = backend["OPTIONS"] | {"cdn_url": f"{backend['OPTIONS']['endpoint_url']}/no-such-bucket"}
    settings.STORAGES = settings.STORAGES | {"blobs": backend | {"OPTIONS": options}}
    with pytest.raises(ServerFailed, match=r"STORAGE_UNAVAILABLE.*answered 404 in place of the file"):
        owner.kv_cache.download_profile(published(), "unused")
    assert owner.memories.download(kept["id"])
