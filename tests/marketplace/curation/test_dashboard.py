"""The first page of the admin, and the queues of certification that it counts."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.urls import reverse
from django.utils import timezone

from latentmas.events.models import Event
from latentmas.protocol.quality import Basis
from latentmas.transparency import checkpoints
from marketplace.curation.dashboard import dashboard
from marketplace.listings.lifecycle.commands import quarantine_listing
from marketplace.listings.models import ListingVersion
from marketplace.listings.queues import QUEUES, queued
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
INDEX = reverse("admin:index")


def counts(shown):
    return {queue.title: queue.count for queue in shown.queues}


def test_the_dashboard_counts_the_log_the_queues_and_the_catalogue(report):
    before = dashboard(at=timezone.now())
    assert before.checkpoint is None
    assert before.unsealed == before.head == Event.objects.count()
    sealed = checkpoints.seal(metadata=sample.METADATA)
    quarantine_listing(
        sample.make_listing("gpt-4", "qwen-7b", quality=sample.unmeasured()), reason="No.", by=sample.CURATOR
    )
    shown = dashboard(at=timezone.now())
    assert shown.checkpoint.size == sealed.size
    assert shown.unsealed == shown.lag["merkle tree"] == shown.head - sealed.size > 0
    assert counts(shown)["Open reports"] == 1
    assert counts(shown)["Listings in quarantine"] == 1
    assert shown.catalogue.by_basis["functional"] == 1


@pytest.mark.parametrize(
    ("queue", "quality", "age", "certify"),
    [
        ("unmeasured", sample.unmeasured(Basis.DECLARED), timedelta(0), False),
        ("undecided", sample.functional(), timedelta(0), False),
        ("expiring", sample.functional(), timedelta(days=350), True),
    ],
)
def test_a_version_is_in_its_queue_and_in_no_other(registry, queue, quality, age, certify):
    sample.make_listing(quality=quality, at=timezone.now() - age, certify=certify)
    found = {name for name in QUEUES if queued(name, at=timezone.now()).exists()}
    assert found == {queue}


def test_what_is_certified_for_long_is_in_no_queue(certified):
    assert not any(queued(name, at=timezone.now()).exists() for name in QUEUES)


def test_the_list_of_versions_shows_a_queue(admin_client, registry):
    sample.make_listing("gpt-4", "qwen-7b", quality=sample.unmeasured(Basis.DECLARED))
    sample.make_listing(at=timezone.now())
    page = admin_client.get(reverse("admin:listings_listingversion_changelist"), {"queue": "unmeasured"}).content
    assert b"1 listing version" in page
    assert b"gpt-4 to qwen-7b" in page


def test_who_may_not_open_a_list_sees_its_count_without_a_link(member, report):
    reports = reverse("admin:curation_report_changelist")
    link = f'<a href="{reports}">Open reports</a>'
    assert link in member("curator").get(INDEX).content.decode()
    page = member("certifier").get(INDEX).content.decode()
    assert link not in page
    assert re.search(r"Open reports</th><td>1</td>", page)


def test_the_dashboard_costs_a_constant_number_of_queries(registry, django_assert_max_num_queries):
    for target in ("llama-3-8b", "qwen-7b"):
        sample.make_listing("gpt-4", target, quality=sample.unmeasured())
    with django_assert_max_num_queries(25):
        dashboard(at=timezone.now())


def test_rows_are_exported_as_csv_without_formulas(admin_client, certified):
    ListingVersion.objects.update(version="=1+1")
    form = {"action": "export_csv", ACTION_CHECKBOX_NAME: [f"{certified}/1.0.0"]}
    answer = admin_client.post(reverse("admin:listings_listingversion_changelist"), form)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    head, line = b"".join(answer.streaming_content).decode().splitlines()
    assert head.startswith("source to target,version,basis,")
    assert line.startswith("smollm2-135m to gemma-3-270m,'=1+1,functional,")


def test_the_log_is_exported_by_who_may_read_it(member, certified):
    form = {"action": "export_csv", ACTION_CHECKBOX_NAME: ["1"]}
    address = reverse("admin:events_event_changelist")
    lines = b"".join(member("auditor").post(address, form).streaming_content).decode().splitlines()
    assert (lines[0], len(lines)) == ("position,type,stream,version,actor,recorded at", 2)
    assert member("support").post(address, form).status_code == 403


def test_every_queue_leads_to_its_list(admin_client, report):
    for queue in dashboard(at=timezone.now()).queues:
        assert admin_client.get(queue.address).status_code == 200, queue.address
