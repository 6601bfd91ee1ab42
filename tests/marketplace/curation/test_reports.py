"""Reports of users: over REST, and the curators' queue."""

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import reverse

from latentmas.protocol.errors import Conflict
from latentmas.rest.scopes import MEMORIES_READ, REPORTS_WRITE
from marketplace.curation import commands
from marketplace.curation.models import MAX_TEXT, Kind, Outcome, Report
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle.commands import change_access, quarantine_listing
from marketplace.listings.models import Listing
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
QUEUE = reverse("admin:curation_report_changelist")
BODY = {"kind": "figures", "text": "The figures are another file's."}


@pytest.fixture
def reporter(client_with):
    return client_with(REPORTS_WRITE)


def send(client, listing, body=BODY, **headers):
    return client.post(f"/api/w-matrices/{listing}/reports", body, "application/json", headers=headers)


def test_a_user_reports_a_listing(reporter, alice, certified):
    answer = send(reporter, certified)
    row = Report.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "id": row.id,
        "listing_id": certified,
        "kind": "figures",
        "created_at": answer.json()["created_at"],
    }
    assert (row.listing_id, row.reporter, row.text, row.outcome) == (certified, alice, BODY["text"], None)


def test_a_report_that_is_sent_again_under_its_key_is_one_report(reporter, certified):
    first = send(reporter, certified, **{"Idempotency-Key": "k1"})
    again = send(reporter, certified, **{"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert Report.objects.count() == 1


def test_a_second_report_waits_for_the_answer_to_the_first(reporter, certified, django_user_model):
    send(reporter, certified)
    refused = send(reporter, certified)
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    curator = django_user_model.objects.create_user("carol")
    commands.resolve_report(Report.objects.get(), curator, outcome=Outcome.DISMISSED, note="They are its own.")
    assert send(reporter, certified).status_code == 201


def test_an_account_has_a_bounded_number_of_open_reports(alice, certified, monkeypatch):
    monkeypatch.setattr(commands, "OPEN_REPORTS", 0)
    with pytest.raises(Conflict, match="the limit"):
        commands.report_listing(Listing.objects.get(), alice, kind=Kind.SPAM, text="Spam.")


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "boring", "text": "x"},
        {"kind": "spam"},
        {"kind": "spam", "text": "  "},
        {"kind": "spam", "text": "x" * (MAX_TEXT + 1)},
        {"kind": "spam", "text": "x", "listing": "y"},
    ],
)
def test_a_wrong_report_is_refused_and_nothing_is_kept(reporter, certified, body):
    assert send(reporter, certified, body).status_code == 422
    assert not Report.objects.exists()


def test_reporting_needs_the_scope(client, client_with, certified):
    assert send(client, certified).status_code == 401
    assert send(client_with(MEMORIES_READ), certified).status_code == 403


def test_what_the_reporter_does_not_see_cannot_be_reported(reporter, certified, other_agent):
    assert send(reporter, "nothing").status_code == 404
    change_access(certified, access=Access.PRIVATE, by=sample.CURATOR)
    assert send(reporter, certified).status_code == 404
    change_access(certified, access=Access.PUBLIC, by=sample.CURATOR)
    quarantine_listing(certified, reason="Stopped.", by=sample.CURATOR)
    assert send(reporter, certified).json()["code"] == "LISTING_QUARANTINED"
    assert not Report.objects.exists()


def act(client, action, key, **form):
    return client.post(QUEUE, {"action": action, ACTION_CHECKBOX_NAME: [key], **form})


def test_the_queue_shows_open_reports_and_leads_to_the_listing(admin_client, report):
    page = admin_client.get(QUEUE).content.decode()
    assert "The figures are another file" in page
    assert reverse("admin:listings_listing_change", args=[report.listing_id]) in page
    act(admin_client, "dismiss", report.id, apply="yes", note="They are its own.")
    assert "The figures are another file" not in admin_client.get(QUEUE).content.decode()
    assert "The figures are another file" in admin_client.get(QUEUE, {"state": "all"}).content.decode()


def test_an_answer_asks_for_its_reason_and_is_given_once(admin_client, admin_user, report):
    assert "This field is required" in act(admin_client, "uphold", report.id, apply="yes").content.decode()
    assert Report.objects.get().outcome is None
    act(admin_client, "uphold", report.id, apply="yes", note="The digests differ.")
    row = Report.objects.get()
    assert (row.outcome, row.note, row.resolved_by) == ("upheld", "The digests differ.", admin_user)
    response = admin_client.post(
        f"{QUEUE}?state=all",
        {"action": "dismiss", ACTION_CHECKBOX_NAME: [report.id], "apply": "yes", "note": "No."},
    )
    assert "is resolved already" in response.content.decode()
    assert Report.objects.get().outcome == "upheld"


def test_what_was_written_can_be_erased_and_outlives_no_account(admin_client, report):
    act(admin_client, "erase", report.id)
    assert Report.objects.get().text == ""
    User.objects.get(username="alice").delete()
    assert Report.objects.get().reporter is None


def test_erasing_a_listings_texts_reaches_its_reports_and_their_answers(admin_client, report, capsys):
    act(admin_client, "uphold", report.id, apply="yes", note="Alice is right.")
    call_command("erase_texts", "listing", report.listing_id)
    row = Report.objects.get()
    assert (row.text, row.note, row.outcome) == ("", "", "upheld")
    assert capsys.readouterr().out == "3 texts erased\n"
    call_command("erase_texts", "listing", report.listing_id)
    assert capsys.readouterr().out == "0 texts erased\n"
