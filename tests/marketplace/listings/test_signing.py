"""A certificate is signed once its decision is recorded, and the same envelope is served for ever."""

import base64
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from latentmas.events import store
from latentmas.protocol.dsse import pre_authentication_encoding
from latentmas.protocol.verification.signatures import is_signed
from latentmas.transparency import keys
from latentmas.transparency.disclosure import is_disclosed
from latentmas.transparency.errors import SigningKeyMissing, SigningKeyNotUsable
from latentmas.transparency.events import RevocationReason
from latentmas.transparency.models import SigningKey
from marketplace.listings.certificates import signing
from marketplace.listings.commands import certify_version, measure_version
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle.commands import change_access, yank_version
from marketplace.listings.models import ListingVersion
from tests.marketplace import sample


def served(client, listing):
    return client.get(f"/api/w-matrices/{listing}/versions/1.0.0/certificate").json()["signature"]


def sign():
    return signing.sign_certificates(metadata=sample.METADATA)


def test_a_certificate_waits_for_its_signature_and_then_has_it(client, certified):
    assert served(client, certified) is None
    sign()
    signature = served(client, certified)
    envelope = signature["envelope"]
    payload = base64.b64decode(envelope["payload"])
    key = SigningKey.objects.get(purpose="certificate")
    assert envelope["signatures"][0]["keyid"] == key.key_id
    assert is_signed(
        pre_authentication_encoding("application/vnd.in-toto+json", payload),
        base64.b64decode(envelope["signatures"][0]["sig"]),
        base64.b64decode(key.public_key),
    )
    assert store.read_all(after=signature["position"] - 1)[0].type == "certificate.signed"


def test_the_statement_is_about_the_file_and_says_what_the_certificate_says(client, certified):
    sign()
    document = json.loads(base64.b64decode(served(client, certified)["envelope"]["payload"]))
    row = ListingVersion.objects.get()
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["subject"][0]["digest"] == {"sha256": row.file_digest.removeprefix("sha256:")}
    predicate = document["predicate"]
    assert predicate["source"] == {"model": sample.SOURCE, "weights": row.source_weights}
    assert (predicate["tier"], predicate["basis"], predicate["report"]) == (row.tier, row.basis, row.report_digest)
    assert predicate["retention"] == {"value": "0.97", "low": "0.95", "high": "0.99"}


def test_signing_again_records_nothing(certified):
    sign()
    head = store.head_position()
    assert sign() == 0
    assert store.head_position() == head


def test_each_decision_is_served_with_its_own_envelope(client, registry):
    listing = sample.make_listing(at=sample.AT)
    later = timezone.now()
    assert later > sample.AT + timedelta(days=200)
    certify_version(listing, version="1.0.0", at=sample.AT + timedelta(days=366), metadata=sample.METADATA)
    sign()
    row = ListingVersion.objects.get()
    envelopes = [each.data.envelope for each in store.read_stream(f"certificate/{row.id}")]
    assert len(set(envelopes)) == 2
    assert signing.signed_certificates([row])[row.id].envelope == envelopes[1]
    row.certified_at = sample.AT
    assert signing.signed_certificates([row])[row.id].envelope == envelopes[0]


def test_a_decision_is_signed_with_the_measurement_that_it_rests_on(client, certified):
    """The follower comes late: meanwhile the version was measured anew and found worse."""
    row = ListingVersion.objects.get()
    measurement = sample.measured(sample.published(quality=sample.functional(0.97)), sample.functional(0.8))
    measure_version(certified, measured=measurement)
    certify_version(certified, version="1.0.0", metadata=sample.METADATA)
    sign()
    first, second = (each.data.envelope for each in store.read_stream(f"certificate/{row.id}"))
    kept = [json.loads(base64.b64decode(each.payload))["predicate"] for each in (first, second)]
    assert [each["retention"]["value"] for each in kept] == ["0.97", "0.8"]
    assert [each["tier"] for each in kept] == ["gold", "bronze"]


def test_the_envelopes_of_many_versions_are_one_query(certified, django_assert_num_queries):
    sign()
    rows = list(ListingVersion.objects.all())
    with django_assert_num_queries(1):
        assert signing.signed_certificates(rows).keys() == {row.id for row in rows}


def test_a_refusal_is_not_signed(registry):
    sample.make_listing("gpt-4", "llama-3-8b", quality=sample.unmeasured())
    sign()
    assert not SigningKey.objects.exists()


@pytest.mark.parametrize("broken", ["missing", "revoked"])
def test_without_a_usable_key_the_decision_waits(client, certified, settings, broken):
    seed = settings.CERTIFICATE_SIGNING_KEY
    if broken == "missing":
        settings.CERTIFICATE_SIGNING_KEY = None
    else:
        key = keys.signer(keys.Purpose.CERTIFICATE, metadata=sample.METADATA)
        keys.revoke_key(key.key_id, reason=RevocationReason.LOST, metadata=sample.METADATA)
    with pytest.raises((SigningKeyMissing, SigningKeyNotUsable)):
        sign()
    assert served(client, certified) is None
    settings.CERTIFICATE_SIGNING_KEY = seed if broken == "missing" else b"n" * 32
    sign()
    assert served(client, certified) is not None


def test_what_a_revoked_key_signed_is_signed_anew(client, certified, settings, capsys):
    sign()
    old = served(client, certified)
    revoked = SigningKey.objects.get()
    keys.revoke_key(revoked.key_id, reason=RevocationReason.COMPROMISED, metadata=sample.METADATA)
    with pytest.raises(CommandError, match="SIGNING_KEY_NOT_USABLE"):
        call_command("sign_certificates", "--replace", revoked.key_id)
    settings.CERTIFICATE_SIGNING_KEY = b"n" * 32
    call_command("sign_certificates", "--replace", revoked.key_id)
    assert "1 signatures replaced" in capsys.readouterr().out
    new = served(client, certified)
    assert new["envelope"]["payload"] == old["envelope"]["payload"]
    assert new["envelope"]["signatures"] != old["envelope"]["signatures"]
    call_command("sign_certificates", "--replace", revoked.key_id)
    assert "0 signatures replaced" in capsys.readouterr().out


def test_a_yanked_version_keeps_its_envelope_on_record(certified):
    sign()
    yank_version(certified, version="1.0.0", reason="test", by=sample.CURATOR)
    assert signing.signed_certificates(list(ListingVersion.objects.all()))


def test_a_private_listings_certificate_is_in_no_proof(certified):
    sign()
    event = store.read_stream(f"certificate/{certified}/1.0.0")[0]
    assert is_disclosed(event.type, lambda: event)
    change_access(certified, access=Access.PRIVATE, by=sample.CURATOR)
    assert not is_disclosed(event.type, lambda: event)
