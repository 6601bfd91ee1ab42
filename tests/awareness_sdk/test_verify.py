"""Offline verification says yes to what the server gave, and names the step at which anything else fails."""

import base64
import copy
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from awareness_sdk.verify import Trust, main, verify
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol import notes
from latentmas.protocol.dsse import sign_envelope
from latentmas.protocol.verification.errors import VerificationFailed
from marketplace.listings.models import ListingVersion
from tests.marketplace import sample
from tests.marketplace.evidence import gather
from tests.transparency.conftest import WITNESS, WITNESS_KEY, cosigned

BY = Metadata(actor="command:test")
LOG_KEY, CERTIFICATE_KEY = (Ed25519PrivateKey.from_private_bytes(seed) for seed in (b"l" * 32, b"c" * 32))
WITNESS_VKEY = notes.verifier_key(WITNESS, notes.SignatureType.COSIGNATURE, WITNESS_KEY.public_key().public_bytes_raw())


@pytest.fixture
def evidence(own_files, load_models, settings, tmp_path):
    """A certified file and the three answers about it, as their JSON."""
    load_models(sample.SOURCE, sample.TARGET)
    answers = gather(settings)
    file = tmp_path / "file.safetensors"
    with blobs.open_blob(ListingVersion.objects.get().file_digest) as opened:
        file.write_bytes(opened.read())
    return {"file": file, **answers}


def outcome(evidence, *, at=None, **trust):
    """Return the reason of the refusal, or None."""
    try:
        verify(
            evidence["file"],
            certificate=evidence["certificate"],
            proof=evidence["proof"],
            trust=Trust.of_document(evidence["keys"], **trust),
            at=at,
        )
    except VerificationFailed as failure:
        return failure.reason.value
    return None


def signed_anew(evidence, *, kind="application/vnd.in-toto+json", key=CERTIFICATE_KEY, **changes):
    """Return the certificate's envelope with another payload, signed by a right key."""
    envelope = evidence["certificate"]["signature"]["envelope"]
    document = json.loads(base64.b64decode(envelope["payload"])) | changes
    made = sign_envelope(
        json.dumps(document).encode(), payload_type=kind, key=key, key_id=envelope["signatures"][0]["keyid"]
    )
    return {
        "payloadType": made.payloadType,
        "payload": made.payload,
        "signatures": [{"keyid": made.signatures[0].keyid, "sig": made.signatures[0].sig}],
    }


def test_what_the_server_gave_is_verified(evidence):
    assert outcome(evidence) is None
    evidence["certificate"] = evidence["certificate"]["signature"]["envelope"]  # the envelope alone will do
    assert outcome(evidence) is None


def test_a_file_of_which_one_byte_is_another_is_refused(evidence):
    evidence["file"].write_bytes(evidence["file"].read_bytes()[:-1] + b"?")
    assert outcome(evidence) == "file_differs"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"payloadType": "application/json"}, "payload_type_unknown"),
        ({"payload": base64.b64encode(b"{}").decode()}, "signature_invalid"),
        ({"payload": "?"}, "envelope_malformed"),
        ({"payload": 5}, "envelope_malformed"),
        ({"signatures": []}, "key_unknown"),
        ({"signatures": [{"keyid": "0" * 64, "sig": "AAAA"}]}, "key_unknown"),
        ({"signatures": None}, "envelope_malformed"),
    ],
)
def test_an_envelope_that_was_changed_is_refused(evidence, change, reason):
    evidence["certificate"]["signature"]["envelope"] |= change
    assert outcome(evidence) == reason


@pytest.mark.parametrize("certificate", [None, [], {}, {"signature": None}, "text", 5])
def test_what_is_no_envelope_is_refused(evidence, certificate):
    evidence["certificate"] = certificate
    assert outcome(evidence) == "envelope_malformed"


def test_a_payload_type_under_the_signature_is_still_only_the_one(evidence):
    evidence["certificate"] = signed_anew(evidence, kind="application/vnd.other+json")
    assert outcome(evidence) == "payload_type_unknown"


@pytest.mark.parametrize(
    "change",
    [
        {"predicateType": "https://other.example/v1"},
        {"_type": "other"},
        {"subject": []},
        {"predicate": {}},
        {"predicate": []},
    ],
)
def test_a_statement_of_another_kind_is_refused(evidence, change):
    evidence["certificate"] = signed_anew(evidence, **change)
    assert outcome(evidence) == "statement_malformed"


def test_a_certificate_signed_by_the_right_key_that_was_never_recorded_is_refused(evidence):
    envelope = evidence["certificate"]["signature"]["envelope"]
    predicate = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    evidence["certificate"] = signed_anew(evidence, predicate=predicate | {"tier": "platinum"})
    assert outcome(evidence) == "not_in_log"


def test_a_certificate_holds_from_its_issue_to_its_expiry(evidence):
    assert outcome(evidence, at=datetime.now(UTC) + timedelta(days=366)) == "not_valid_now"
    assert outcome(evidence, at=datetime.now(UTC) - timedelta(days=1)) == "not_valid_now"


@pytest.mark.parametrize("purpose", ["certificate", "log"])
@pytest.mark.parametrize(("state", "reason"), [("revoked", "key_revoked"), ("retired", None)])
def test_what_a_revoked_key_signed_is_refused_what_a_retired_one_signed_is_not(evidence, purpose, state, reason):
    for key in evidence["keys"]["keys"]:
        if key["purpose"] == purpose:
            key["state"] = state
    assert outcome(evidence) == reason


@pytest.mark.parametrize("purpose", ["certificate", "log"])
def test_a_key_that_is_not_in_my_copy_is_unknown(evidence, purpose):
    evidence["keys"]["keys"] = [key for key in evidence["keys"]["keys"] if key["purpose"] != purpose]
    assert outcome(evidence) == "key_unknown"


def test_a_proof_that_is_truncated_or_belongs_elsewhere_is_refused(evidence):
    whole = copy.deepcopy(evidence["proof"])
    evidence["proof"]["proof"] = whole["proof"][:-1]
    assert outcome(evidence) == "proof_invalid"
    evidence["proof"] = whole | {"tree_size": whole["tree_size"] + 1}
    assert outcome(evidence) == "checkpoint_differs"
    evidence["proof"] = whole | {"index": whole["index"] - 1}
    assert outcome(evidence) == "not_in_log"
    evidence["proof"] = whole | {"event": None}
    assert outcome(evidence) == "proof_malformed"
    evidence["proof"] = whole | {"event": whole["event"] | {"salt": base64.b64encode(b"x" * 16).decode()}}
    assert outcome(evidence) == "not_in_log"
    evidence["proof"] = whole | {"checkpoint": None}
    assert outcome(evidence) == "note_malformed"
    evidence["proof"] = []
    assert outcome(evidence) == "proof_malformed"


def test_a_checkpoint_of_another_tree_is_refused(evidence):
    size = evidence["proof"]["tree_size"]
    text = notes.checkpoint_text("tests.example/log", size=size, root=b"f" * 32)
    evidence["proof"]["checkpoint"] = notes.signed(text, name="tests.example/log", key=LOG_KEY)
    assert outcome(evidence) == "proof_invalid"
    evidence["proof"]["checkpoint"] = notes.signed(text, name="tests.example/log", key=CERTIFICATE_KEY)
    assert outcome(evidence) == "key_unknown"


def test_a_checkpoint_that_the_key_signed_for_another_log_is_refused(evidence):
    head, rest = evidence["proof"]["checkpoint"].split("\n", 1)
    text = f"other.example/log\n{rest.partition(chr(10) * 2)[0]}\n"
    evidence["proof"]["checkpoint"] = notes.signed(text, name=head, key=LOG_KEY)
    assert outcome(evidence) == "key_unknown"


def test_as_many_witnesses_as_are_needed_must_have_cosigned(evidence):
    trust = {"witnesses": [WITNESS_VKEY], "needed": 1}
    assert outcome(evidence, **trust) == "witnesses_missing"
    evidence["proof"]["checkpoint"] = cosigned(evidence["proof"]["checkpoint"])
    assert outcome(evidence, **trust) is None
    assert outcome(evidence, witnesses=[WITNESS_VKEY, WITNESS_VKEY], needed=2) == "witnesses_missing"


def command(evidence, tmp_path, *more):
    paths = {name: tmp_path / f"{name}.json" for name in ("certificate", "proof", "keys")}
    for name, path in paths.items():
        path.write_text(json.dumps(evidence[name]))
    return main([str(evidence["file"]), *(f"--{name}={path}" for name, path in paths.items()), *more])


def test_the_command_says_yes_or_why_not(evidence, tmp_path, capsys):
    assert command(evidence, tmp_path) == 0
    assert capsys.readouterr().out.startswith("yes: ")
    assert command(evidence, tmp_path, "--at", "2020-01-01T00:00:00+00:00") == 1
    assert capsys.readouterr().out.startswith("no: not_valid_now: ")


def test_the_command_tells_wrong_use_from_a_refusal(evidence, tmp_path, capsys):
    evidence["keys"] = {"other": 1}
    with pytest.raises(SystemExit, match="2"):
        command(evidence, tmp_path)
    assert "no answer of /api/log/keys" in capsys.readouterr().err
