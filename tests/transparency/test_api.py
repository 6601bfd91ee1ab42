"""The sealed log over REST, read as a stranger's client would read it."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latentmas.events import types
from latentmas.protocol import notes
from latentmas.protocol.verification.notes import VerifierKey, read_note, read_tree_head, verified
from latentmas.protocol.verification.proofs import leaf_hash_of, verify_consistency, verify_inclusion
from latentmas.transparency import checkpoints, disclosure
from tests.events.sample import BY
from tests.protocol.test_merkle import by_definition
from tests.transparency.conftest import ORIGIN, cosigned

SIZE = 258


@pytest.fixture(autouse=True)
def _sealed(record):
    record(SIZE - 1)
    checkpoints.seal(metadata=BY)


@pytest.fixture
def head(client):
    return read_tree_head(read_note(client.get("/api/log/checkpoint").content.decode()).text)


def problem(response, status, code):
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    assert response.json()["code"] == code
    return response.json()


def test_the_checkpoint_is_verified_by_the_key_that_the_log_names(client):
    response = client.get("/api/log/checkpoint")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    document = client.get("/api/log/keys").json()
    (key,) = document["keys"]
    assert (document["origin"], key["purpose"], key["state"], key["algorithm"]) == (ORIGIN, "log", "active", "ed25519")
    assert verified(read_note(response.content.decode()), [VerifierKey.parse(key["verifier_key"])])


def test_tiles_and_entries_alone_give_the_root_of_the_checkpoint(client, head):
    bundles = client.get("/api/log/tile/entries/000").content + client.get("/api/log/tile/entries/001.p/2").content
    leaves = []
    while bundles:
        length = int.from_bytes(bundles[:2], "big")
        leaves.append(leaf_hash_of(bundles[2 : 2 + length]))
        bundles = bundles[2 + length :]
    assert len(leaves) == SIZE
    assert by_definition(leaves) == head.root
    tile = client.get("/api/log/tile/0/000")
    assert tile.content + client.get("/api/log/tile/0/001.p/2").content == b"".join(leaves)
    assert tile.headers["Content-Type"] == "application/octet-stream"
    assert "immutable" in tile.headers["Cache-Control"]
    assert client.get("/api/log/tile/1/000.p/1").content == by_definition(leaves[:256])
    assert client.get("/api/log/tile/0/000.p/7").content == b"".join(leaves[:7])  # of an older checkpoint


@pytest.mark.parametrize("path", ["0/001", "0/001.p/3", "1/000", "1/000.p/2", "2/000.p/1", "0/x001/000"])
def test_what_is_beyond_the_checkpoint_is_not_sealed(client, path):
    problem(client.get(f"/api/log/tile/{path}"), 404, "NOT_SEALED")
    if path.startswith("0/"):
        problem(client.get(f"/api/log/tile/entries/{path[2:]}"), 404, "NOT_SEALED")


@pytest.mark.parametrize("path", ["9/000", "0/1", "0/000.p/0", "0/" + "x999/" * 12 + "999"])
def test_what_is_no_tiles_path_is_not_found(client, path):
    problem(client.get(f"/api/log/tile/{path}"), 404, "NOT_FOUND")


def test_an_entry_says_nothing_but_position_type_and_digests(client):
    entry = client.get("/api/log/tile/entries/000.p/1").content[2:]
    assert sorted(json.loads(entry)) == ["body", "position", "stream", "type"]
    assert b"note" not in entry.replace(b"sample.noted", b"")


@pytest.mark.parametrize("position", [1, 256, 257, SIZE])
def test_an_event_is_proven_to_be_under_the_checkpoint(client, head, position):
    document = client.get(f"/api/log/proof?position={position}").json()
    leaf = leaf_hash_of(base64.b64decode(document["entry"]))
    assert base64.b64decode(document["leaf_hash"]) == leaf
    proof = [base64.b64decode(each) for each in document["proof"]]
    verify_inclusion(leaf, index=document["index"], size=document["tree_size"], proof=proof, root=head.root)
    assert document["checkpoint"] == client.get("/api/log/checkpoint").content.decode()


def test_a_proof_for_a_size_that_was_never_sealed_comes_without_a_checkpoint(client):
    document = client.get("/api/log/proof?position=3&tree_size=200").json()
    assert (document["tree_size"], document["checkpoint"]) == (200, None)


def test_a_proof_shows_the_body_of_no_event_but_of_disclosed_types(client, monkeypatch):
    assert client.get("/api/log/proof?position=1").json()["event"] is None
    monkeypatch.setattr(disclosure, "_RULES", {"sample.noted": lambda event: event.data.text != "note 1"})
    assert client.get("/api/log/proof?position=1").json()["event"] is not None
    assert client.get("/api/log/proof?position=2").json()["event"] is None


def test_an_event_of_a_type_that_this_code_no_longer_knows_is_proven_all_the_same(client, monkeypatch):
    monkeypatch.delitem(types._BY_NAME, "sample.noted")
    assert client.get("/api/log/proof?position=1").json()["event"] is None


def test_the_log_is_proven_to_have_grown(client, record):
    before = read_tree_head(read_note(client.get("/api/log/checkpoint").content.decode()).text)
    record(300)
    checkpoints.seal(metadata=BY)
    after = read_tree_head(read_note(client.get("/api/log/checkpoint").content.decode()).text)
    document = client.get(f"/api/log/consistency?from={before.size}&to={after.size}").json()
    proof = [base64.b64decode(each) for each in document["proof"]]
    verify_consistency(old=before.size, new=after.size, old_root=before.root, new_root=after.root, proof=proof)
    assert client.get(f"/api/log/consistency?from=0&to={after.size}").json() == {"proof": []}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("proof?position=259", 404, "NOT_SEALED"),
        ("proof?position=1&tree_size=259", 404, "NOT_SEALED"),
        ("proof?position=9&tree_size=8", 404, "NOT_SEALED"),
        ("proof?position=0", 422, "INVALID_INPUT"),
        ("proof", 422, "INVALID_INPUT"),
        ("proof?position=1&size=3", 422, "INVALID_INPUT"),
        ("proof?position=99999999999999999999", 422, "INVALID_INPUT"),
        ("consistency?from=1&to=259", 404, "NOT_SEALED"),
        ("consistency?from=3&to=2", 422, "INVALID_INPUT"),
        ("consistency?from=-1&to=2", 422, "INVALID_INPUT"),
        ("consistency?from=1", 422, "INVALID_INPUT"),
    ],
)
def test_a_question_that_has_no_answer_is_told_why(client, query, status, code):
    problem(client.get(f"/api/log/{query}"), status, code)


def post(client, note, content_type="text/plain"):
    return client.post("/api/log/cosignatures", note, content_type=content_type)


def test_a_witness_hands_in_its_cosignature_without_an_account(client):
    note = cosigned(client.get("/api/log/checkpoint").content.decode())
    response = post(client, note)
    assert (response.status_code, response.content.decode()) == (200, note)
    assert client.get("/api/log/checkpoint").content.decode() == note


def test_what_is_no_cosignature_is_refused(client):
    note = client.get("/api/log/checkpoint").content.decode()
    fork = notes.signed(
        notes.checkpoint_text(ORIGIN, size=SIZE, root=b"f" * 32),
        name=ORIGIN,
        key=Ed25519PrivateKey.from_private_bytes(b"l" * 32),
    )
    problem(post(client, note), 403, "WITNESS_NOT_TRUSTED")
    assert problem(post(client, "hello"), 422, "VERIFICATION_FAILED")["facts"] == {"reason": "note_malformed"}
    problem(post(client, cosigned(fork)), 409, "CHECKPOINT_FORKED")
    problem(post(client, cosigned(fork.replace(f"\n{SIZE}\n", "\n99\n"))), 404, "NOT_FOUND")
    problem(post(client, b"\xff"), 400, "BAD_REQUEST")
    problem(post(client, "{}", "application/json"), 415, "UNSUPPORTED_MEDIA_TYPE")
    problem(post(client, "x" * (1 << 20 | 1)), 413, "TOO_LARGE")
    assert client.get("/api/log/checkpoint").content.decode() == note
