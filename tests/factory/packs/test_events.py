"""Packs recorded before they could be contributed stay readable, and the projection can be made again."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from factory.corpora import known_corpora
from factory.events import PackRecorded
from factory.models import CalibrationPack
from latentmas.events.types import decode
from latentmas.protocol.w_matrix import Space
from tests.factory.synthetic import Synthetic, upload

OLD = {
    "digest": "sha256:" + "1" * 64,
    "size": 10,
    "model": "gpt-4",
    "weights": "sha256:" + "2" * 64,
    "corpus": "lee-background",
    "corpus_digest": "sha256:" + "3" * 64,
    "calibration_tokens": 25_000,
    "documents": 100,
    "width": 64,
}


def test_a_pack_of_the_first_schema_was_captured_here_and_holds_caches():
    event = decode("pack.recorded", 1, OLD)
    assert event == PackRecorded(**OLD, space=Space.KV_CACHE, contributor=None)


@pytest.mark.django_db
def test_the_packs_can_be_projected_again(api, own_files):
    assert upload(api, Synthetic("gpt-4").bytes(own_files)).status_code == 201
    check = {"check": True, "projector": ["packs"], "stdout": StringIO()}
    call_command("rebuild_projections", **check)
    CalibrationPack.objects.update(contributor=None)
    with pytest.raises(CommandError, match="differ"):
        call_command("rebuild_projections", **check)


@pytest.mark.models  # the texts come with an optional dependency
def test_the_known_corpora_are_the_ones_that_are_loaded():
    from factory.corpora import load_corpus

    for known in known_corpora():
        corpus = load_corpus(known.location)
        assert (corpus.name, corpus.digest) == (known.name, known.digest)
        assert {each.digest: len(each.text) for each in corpus.documents} == known.documents
        assert {each.digest: each.group for each in corpus.documents if each.group != each.digest} == known.groups
        assert corpus.cut == known.cut


@pytest.mark.django_db
def test_curators_see_packs_and_jobs_and_change_neither(admin_client, api, own_files):
    from latentmas.jobs.models import Job

    upload(api, Synthetic("gpt-4").bytes(own_files))
    times = {"created_at": "2026-01-01T00:00Z", "deadline": "2026-01-02T00:00Z"}
    Job.objects.create(kind="w-matrix.generate", arguments={}, requested_by="token:a", **times)
    assert b"token:" in admin_client.get("/admin/factory/calibrationpack/").content
    assert b"w-matrix.generate" in admin_client.get("/admin/jobs/job/").content
    assert admin_client.get("/admin/jobs/job/add/").status_code == 403
