"""The sweep deletes what nobody names, once it is old, and nothing else."""

import os
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from factory.recipes import results
from kvcache.server.payloads import Given, to_file
from latentmas import blobs
from latentmas.blobs import holders
from latentmas.blobs.sweeping import sweep
from latentmas.rest.scopes import MEMORIES_WRITE
from marketplace.listings.models import ListingVersion
from tests.awareness_sdk.test_kv_cache import published
from tests.marketplace import sample
from tests.marketplace.exchange.sample import memory

pytestmark = pytest.mark.django_db
NOW = timedelta(seconds=-2)  # whatever is there counts as old; S3 gives whole seconds


def generated(file, report):
    version = sample.published()
    identity = sample.report_of(version.quality, w_matrix=file).source
    return results.Generated(
        *("1.0.0", identity, identity, "learned", 4096, 64, 8, 64, file, 1, report, 1, version.quality)
    )


def digests():
    return {each.digest for each in blobs.stored()}


def test_only_what_nobody_names_is_deleted(storage, load_models, client_with, settings):
    load_models("smollm2-135m", "gemma-3-270m", "gpt-4")
    sample.make_listing(at=timezone.now())
    profile = published()
    kept = client_with(MEMORIES_WRITE).post(
        "/api/stored-memories", to_file(Given(memory(3))), "application/vnd.safetensors"
    )
    results.remember("a" * 64, generated(blobs.put_bytes(b"W"), blobs.put_bytes(b"report")), cache=settings.CACHE_DIR)
    ListingVersion.objects.all().delete()  # the event still names its files
    before = digests()
    orphans = {blobs.put_bytes(b"one"), blobs.put_bytes(b"two")}
    swept = sweep(older_than=NOW)
    # `generated` puts a sample version's files without an event.
    assert orphans <= {each.digest for each in swept.orphans}
    assert digests() == before - {each.digest for each in swept.orphans}
    assert {profile, kept.json()["digest"], *(each.file for each in results.remembered(cache=settings.CACHE_DIR))} <= (
        digests()
    )
    assert not sweep(older_than=NOW).orphans


def test_what_is_younger_than_a_day_is_spared(storage):
    blobs.put_bytes(b"one")
    assert sweep().orphans == ()
    assert sweep().seen == 1


def test_an_old_orphan_goes_and_so_do_the_remains_of_dead_writers(own_files):
    digest = blobs.put_bytes(b"one")
    remains = own_files / "blobs" / ".incoming-1"
    remains.write_text("half")
    for path in (remains, blobs.local_path(digest)):
        os.utime(path, (0, time.time() - 90_000))
    swept = sweep()
    assert ([each.digest for each in swept.orphans], swept.unfinished) == ([digest], 1)
    assert not remains.exists()


def test_a_file_that_is_put_again_meanwhile_is_spared(own_files, monkeypatch):
    digest = blobs.put_bytes(b"one")
    path = blobs.local_path(digest)
    os.utime(path, (0, time.time() - 90_000))

    def put_again(_):
        blobs.put_bytes(b"one")
        return set()

    monkeypatch.setattr(holders, "_HOLDERS", [put_again])
    assert sweep().orphans == ()
    assert blobs.exists(digest)


def test_nothing_is_deleted_where_somebody_cannot_say_what_they_hold(own_files, monkeypatch):
    def fail(_):
        raise RuntimeError("no database")

    digest = blobs.put_bytes(b"one")
    monkeypatch.setattr(holders, "_HOLDERS", [*holders._HOLDERS, fail])
    with pytest.raises(RuntimeError):
        sweep(older_than=NOW)
    assert blobs.exists(digest)


def test_the_command_says_what_it_would_do_and_does_it(own_files):
    digest = blobs.put_bytes(b"one")
    os.utime(blobs.local_path(digest), (0, time.time() - 90_000))
    for options, said in ((["--dry-run"], "1 of 1 files would be deleted"), ([], "1 of 1 files deleted (3 bytes)")):
        out = StringIO()
        call_command("sweep_blobs", *options, stdout=out)
        assert digest in out.getvalue()
        assert said in out.getvalue()
    assert not blobs.exists(digest)
