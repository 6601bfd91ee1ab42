"""Signing keys are on record from their first use to their end; their private half never is."""

import pytest
from django.core.management import CommandError, call_command

from latentmas.events import rebuilding, store
from latentmas.events.models import Event
from latentmas.protocol.errors import NotFound
from latentmas.transparency import keys
from latentmas.transparency.errors import SigningKeyNotUsable
from latentmas.transparency.events import Purpose, RevocationReason
from latentmas.transparency.models import SigningKey
from tests.events.sample import BY

pytestmark = pytest.mark.django_db


@pytest.fixture
def key_id():
    return keys.signer(Purpose.LOG, metadata=BY).key_id


def test_the_first_use_records_the_public_half_once(key_id):
    assert keys.signer(Purpose.LOG, metadata=BY).key_id == key_id
    (created,) = store.read_stream(f"key/{key_id}")
    assert created.data.purpose is Purpose.LOG
    body = bytes(Event.objects.get().body)
    assert b"l" * 32 not in body
    assert b"bGxsbGxs" not in body  # the seed in base64


def test_one_key_has_one_purpose(key_id, settings):
    settings.CERTIFICATE_SIGNING_KEY = settings.LOG_SIGNING_KEY
    with pytest.raises(SigningKeyNotUsable, match="on record for 'log'"):
        keys.signer(Purpose.CERTIFICATE, metadata=BY)


def test_retirement_and_revocation_are_projected(key_id):
    assert SigningKey.objects.get().state == "active"
    keys.retire_key(key_id, metadata=BY)
    assert SigningKey.objects.get().state == "retired"
    keys.revoke_key(key_id, reason=RevocationReason.COMPROMISED, metadata=BY)
    row = SigningKey.objects.get()
    assert (row.state, row.revocation_reason) == ("revoked", "compromised")
    assert rebuilding.check(rebuilding.chosen(["project_signing_keys"])) == []


def test_what_has_ended_does_not_end_again(key_id):
    keys.revoke_key(key_id, reason=RevocationReason.LOST, metadata=BY)
    for again in (
        lambda: keys.retire_key(key_id, metadata=BY),
        lambda: keys.revoke_key(key_id, reason=RevocationReason.LOST, metadata=BY),
    ):
        with pytest.raises(SigningKeyNotUsable, match="revoked already"):
            again()
    assert store.stream_version(f"key/{key_id}") == 2


def test_a_key_that_is_not_on_record_cannot_end():
    with pytest.raises(NotFound):
        keys.retire_key("0" * 64, metadata=BY)


def test_the_command_lists_and_ends_keys(key_id, capsys):
    call_command("signing_keys")
    assert f"{key_id} log active tests.example/log" in capsys.readouterr().out
    call_command("signing_keys", "--revoke", key_id, "--reason", "misused")
    assert "log revoked" in capsys.readouterr().out
    with pytest.raises(CommandError, match="go together"):
        call_command("signing_keys", "--revoke", key_id)
    with pytest.raises(CommandError, match="SIGNING_KEY_NOT_USABLE"):
        call_command("signing_keys", "--retire", key_id)


def test_the_command_prints_the_checkpoint_that_it_seals(capsys):
    call_command("seal_log")
    assert capsys.readouterr().out.startswith("tests.example/log\n1\n")
