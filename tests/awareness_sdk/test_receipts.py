"""A receipt is verified offline with the log's proof, and what does not hold together is refused by name."""

import base64
import copy
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth.models import User
from django.test import Client

from awareness_sdk.log_proofs import Trust
from awareness_sdk.receipts import PAYLOAD_TYPE, verify_receipt
from latentmas.protocol.dsse import sign_envelope
from latentmas.protocol.verification.errors import VerificationFailed
from latentmas.transparency.tasks import seal_log
from marketplace.agents.commands import Profile, register_agent
from marketplace.sales import goods
from marketplace.sales.receipts import receipt_document
from tests.marketplace.sales.toys import TEST, Toys, bought, pay_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_files")]
RECEIPT_KEY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)


@pytest.fixture
def evidence(settings, monkeypatch):
    """Two sales of a toy: the first one's receipt and proof, the keys, and the second one's receipt and proof."""
    settings.RECEIPT_SIGNING_KEY = RECEIPT_KEY.private_bytes_raw()
    maker, buyer = (
        register_agent(User.objects.create_user(name), Profile(name, name), metadata=TEST).id
        for name in ("maker", "buyer")
    )
    toys = Toys()
    toys.put(seller=maker)
    monkeypatch.setitem(goods._GOODS, goods.Kind.MEMORY, toys)
    pay_in(buyer, 5000)
    receipts = [receipt_document(bought(buyer), metadata=TEST) for _ in range(2)]
    seal_log()
    proofs = [Client().get(f"/api/log/proof?position={each['position']}").json() for each in receipts]
    keys = Client().get("/api/log/keys").json()
    return copy.deepcopy({"receipt": receipts[0], "proof": proofs[0], "keys": keys, "other": (receipts[1], proofs[1])})


def outcome(evidence):
    """Return the reason of the refusal, or None."""
    try:
        verify_receipt(evidence["receipt"], proof=evidence["proof"], trust=Trust.of_document(evidence["keys"]))
    except VerificationFailed as failure:
        return failure.reason.value
    return None


def signed_anew(receipt, **changes):
    """Return a receipt that says something else, signed by the right key."""
    document = json.loads(base64.b64decode(receipt["envelope"]["payload"])) | changes
    key_id = receipt["envelope"]["signatures"][0]["keyid"]
    made = sign_envelope(json.dumps(document).encode(), payload_type=PAYLOAD_TYPE, key=RECEIPT_KEY, key_id=key_id)
    envelope = {
        "payloadType": made.payloadType,
        "payload": made.payload,
        "signatures": [{"keyid": key_id, "sig": made.signatures[0].sig}],
    }
    return receipt | {"envelope": envelope}


def test_what_the_server_gave_is_verified_and_says_what_was_paid(evidence):
    trust = Trust.of_document(evidence["keys"])
    said = verify_receipt(evidence["receipt"], proof=evidence["proof"], trust=trust)
    assert said["price"] == {"amount": 1000, "currency": "USD"}
    assert [share["amount"] for share in said["shares"]] == [800, 150, 50]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": {"amount": 1, "currency": "USD"}}, "not_in_log"),
        ({"shares": []}, "not_in_log"),
        ({"file": "sha256:" + "0" * 64}, "not_in_log"),
        ({"sale": "another"}, "not_in_log"),
        ({"position": 1}, "not_in_log"),
        ({"type": "https://other.example/v1"}, "statement_malformed"),
        ({"price": 1000}, "statement_malformed"),
    ],
)
def test_a_receipt_that_says_something_else_than_the_log_is_refused(evidence, change, reason):
    assert outcome(evidence | {"receipt": signed_anew(evidence["receipt"], **change)}) == reason


def test_another_sales_proof_or_event_is_refused(evidence):
    receipt, proof = evidence["other"]
    assert outcome(evidence | {"proof": proof}) == "not_in_log"
    assert outcome(evidence | {"receipt": evidence["receipt"] | {"event": receipt["event"]}}) == "not_in_log"
    assert outcome(evidence | {"receipt": receipt, "proof": proof}) is None


def test_a_payload_that_was_changed_is_refused(evidence):
    evidence["receipt"]["envelope"]["payload"] = base64.b64encode(b"{}").decode()
    assert outcome(evidence) == "signature_invalid"


def test_only_keys_for_receipts_are_believed_and_none_that_was_revoked(evidence):
    (key,) = [each for each in evidence["keys"]["keys"] if each["purpose"] == "receipt"]
    key["state"] = "revoked"
    assert outcome(evidence) == "key_revoked"
    key |= {"state": "active", "purpose": "certificate"}
    assert outcome(evidence) == "key_unknown"


@pytest.mark.parametrize("receipt", [None, {}, "text", {"envelope": {}}])
def test_what_is_no_receipt_is_refused(evidence, receipt):
    assert outcome(evidence | {"receipt": receipt}) == "envelope_malformed"


@pytest.mark.parametrize("change", [{"entry": 5}, {"checkpoint": None}, {"proof": None}])
def test_a_proof_that_is_none_is_refused(evidence, change):
    assert outcome(evidence | {"proof": evidence["proof"] | change}) in ("proof_malformed", "note_malformed")
