"""What operators see of the sealed log: figures and admin pages."""

import re

import pytest
from django.db import connection
from django.test import Client

from latentmas.events import triggers
from latentmas.events.models import Event
from latentmas.metrics import exposition
from latentmas.transparency import checkpoints
from latentmas.transparency.models import SigningKey
from tests.events.sample import BY

pytestmark = pytest.mark.django_db


def test_metrics_name_the_last_checkpoint_once_there_is_one(record):
    assert b"\nlatentmas_event_log_sealed " not in exposition()
    record(3)
    checkpoint = checkpoints.seal(metadata=BY)
    assert b"\nlatentmas_event_log_sealed 4.0\n" in exposition()
    sealed_at = re.search(rb"^latentmas_event_log_sealed_timestamp_seconds (\S+)", exposition(), re.MULTILINE)
    assert float(sealed_at[1]) == checkpoint.sealed_at.timestamp()
    assert b'latentmas_event_follower_lag{follower="merkle tree"} 0.0' in exposition()


def test_the_admin_shows_checkpoints_and_keys_and_changes_neither(record, admin_client: Client):
    checkpoint = checkpoints.seal(metadata=BY)
    page = admin_client.get(f"/admin/transparency/checkpoint/{checkpoint.size}/change/").content.decode()
    assert "tests.example/log\n1\n" in page
    key = SigningKey.objects.get()
    assert key.key_id in admin_client.get("/admin/transparency/signingkey/").content.decode()
    for address in (f"checkpoint/{checkpoint.size}/delete/", "checkpoint/add/", f"signingkey/{key.key_id}/delete/"):
        assert admin_client.post(f"/admin/transparency/{address}", {"post": "yes"}).status_code == 403
    assert SigningKey.objects.get() == key


def test_the_admin_verifies_a_row_of_the_log(record, admin_client: Client):
    record(3)
    page = "/admin/events/event/2/change/"
    assert "?verify" in admin_client.get(page).content.decode()
    assert "has no checkpoint yet" in admin_client.get(f"{page}?verify").content.decode()
    checkpoints.seal(metadata=BY)
    shown = admin_client.get(f"{page}?verify").content.decode()
    assert "The row is what was recorded." in shown
    assert "tests.example/log\n4\n" in shown


def test_the_admin_finds_an_edited_row(record, admin_client: Client):
    record(3)
    checkpoints.seal(metadata=BY)
    with triggers.lifted(connection):
        Event.objects.filter(position=2).update(body=b"{}")
    shown = admin_client.get("/admin/events/event/2/change/?verify").content.decode()
    assert "The row could not be verified:" in shown
    assert "The row is what was recorded." not in shown
