"""A witness signs a log that has but grown, remembers that, and refuses everything else as the protocol says."""

import base64
import hashlib
import json
import subprocess
import sys
import threading

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from awareness_sdk.witness.__main__ import main
from awareness_sdk.witness.cosigning import Witness, request_for
from awareness_sdk.witness.serving import MAX_REQUEST_BYTES, server
from awareness_sdk.witness.watching import NotCosigned, witness_once
from latentmas.events.types import Metadata
from latentmas.protocol import merkle, notes
from latentmas.protocol.verification.notes import VerifierKey, read_note, verified
from latentmas.transparency import checkpoints
from latentmas.transparency.models import Cosignature
from tests.protocol.test_merkle import LEAVES, TILES

ORIGIN, NAME = "tests.example/log", "tests.example/witness"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
LOG_VKEY = VerifierKey.parse(
    notes.verifier_key(ORIGIN, notes.SignatureType.ED25519, LOG_KEY.public_key().public_bytes_raw())
)


@pytest.fixture
def witness(tmp_path):
    key = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
    return Witness(NAME, key, {ORIGIN: [LOG_VKEY]}, tmp_path / "state.json")


def checkpoint(size, *, root=None, key=LOG_KEY, origin=ORIGIN):
    text = notes.checkpoint_text(origin, size=size, root=root or merkle.tree_hash(range(size), TILES))
    return notes.signed(text, name=origin, key=key)


def proof(old, new):
    return [base64.b64encode(merkle.tree_hash(each, TILES)).decode() for each in merkle.consistency(old, new)]


def add(witness, old, new, **changes):
    return witness.add_checkpoint(request_for(old, proof(old, new), checkpoint(new, **changes)))


def size_of(witness):
    return witness.last(ORIGIN)[0]


def test_a_log_that_has_but_grown_is_cosigned(witness):
    for old, new in ((0, 255), (255, 256), (256, 257), (257, 257), (257, 65_536)):
        reply = add(witness, old, new)
        assert reply.status == 200
        note = read_note(checkpoint(new) + reply.body)
        assert list(verified(note, [VerifierKey.parse(witness.verifier_key)]))
        assert size_of(witness) == new


def test_it_remembers_across_restarts(witness):
    add(witness, 0, 256)
    again = Witness(witness.name, witness.key, witness.logs, witness.state)
    assert size_of(again) == 256


@pytest.mark.parametrize("old", [0, 100, 257])
def test_a_caller_that_is_behind_or_ahead_is_told_the_size(witness, old):
    add(witness, 0, 256)
    reply = add(witness, old, 300)
    assert (reply.status, reply.body, reply.content_type) == (409, "256\n", "text/x.tlog.size")
    assert size_of(witness) == 256


def test_a_fork_is_refused_and_nothing_is_signed(witness):
    add(witness, 0, 256)
    other = hashlib.sha256(b"fork").digest()
    same_size = witness.add_checkpoint(request_for(256, [], checkpoint(256, root=other)))
    longer = witness.add_checkpoint(request_for(256, proof(256, 300), checkpoint(300, root=other)))
    for reply in (same_size, longer):
        assert reply.status == 422
        assert NAME not in reply.body
    assert size_of(witness) == 256


def test_a_log_that_rewrote_its_past_is_refused(witness):
    add(witness, 0, 3)
    rewritten = merkle.grown({}, 0, [LEAVES[9], *LEAVES[1:8]])
    hashes = [base64.b64encode(merkle.tree_hash(each, rewritten)).decode() for each in merkle.consistency(3, 8)]
    root = merkle.tree_hash(range(8), rewritten)
    reply = witness.add_checkpoint(request_for(3, hashes, checkpoint(8, root=root)))
    assert reply.status == 422
    assert "another than the one that this tree grew from" in reply.body


def test_a_truncated_proof_and_one_where_none_belongs_are_refused(witness):
    assert witness.add_checkpoint(request_for(0, proof(3, 256), checkpoint(256))).status == 422
    add(witness, 0, 3)
    assert witness.add_checkpoint(request_for(3, proof(3, 256)[:-1], checkpoint(256))).status == 422
    assert size_of(witness) == 3


def test_an_empty_log_has_one_root(witness):
    assert witness.add_checkpoint(request_for(0, [], checkpoint(0, root=b"x" * 32))).status == 422
    assert add(witness, 0, 0).status == 200


def test_a_log_or_key_that_it_does_not_know_is_refused(witness):
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    assert add(witness, 0, 8, origin="other.example/log").status == 404
    assert add(witness, 0, 8, key=stranger).status == 403
    head, line = checkpoint(8).rsplit("— ", 1)
    damaged = f"{head}— {line[:40]}{'A' if line[40] != 'A' else 'B'}{line[41:]}"
    assert witness.add_checkpoint(request_for(0, [], damaged)).status == 403
    assert size_of(witness) == 0


@pytest.mark.parametrize(
    "request_body",
    [
        "",
        "old 0\n" + "no empty line",
        "old 00\n\n" + "text\n\n— a AAAA\n",
        "old -1\n\n",
        "old 0\nnot base64\n\n",
        request_for(0, [], "no note"),
        request_for(0, ["A" * 43 + "="] * 64, "note"),
        request_for(9, [], checkpoint(8)),
    ],
)
def test_a_request_of_another_form_is_refused(witness, request_body):
    assert witness.add_checkpoint(request_body).status == 400
    assert not witness.state.exists()


def test_of_two_requests_at_once_one_is_signed(witness):
    add(witness, 0, 256)
    replies = []
    threads = [
        threading.Thread(target=lambda size=size: replies.append(add(witness, 256, size))) for size in (300, 301)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(reply.status for reply in replies) == [200, 409]


@pytest.fixture
def served(witness):
    running = server(witness, host="127.0.0.1", port=0)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{running.server_address[1]}", trust_env=False) as client:
        yield client
    running.shutdown()
    running.server_close()


def test_it_answers_over_http(served):
    reply = served.post("/add-checkpoint", content=request_for(0, [], checkpoint(256)))
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    behind = served.post("/add-checkpoint", content=request_for(0, [], checkpoint(256)))
    assert (behind.status_code, behind.text, behind.headers["Content-Type"]) == (409, "256\n", "text/x.tlog.size")


def test_it_refuses_over_http_before_it_reads_much(served):
    assert served.post("/elsewhere", content="x").status_code == 404
    assert served.post("/add-checkpoint", content="x" * (MAX_REQUEST_BYTES + 1)).status_code == 413
    assert served.post("/add-checkpoint", content=iter([b"x"])).status_code == 411
    assert served.post("/add-checkpoint", content=b"\xff").status_code == 400


@pytest.fixture
def log(live_server, settings, witness):
    """Our own server, and a client of it."""
    settings.LOG_ORIGIN, settings.LOG_SIGNING_KEY = ORIGIN, b"l" * 32
    settings.LOG_WITNESSES = [VerifierKey.parse(witness.verifier_key)]
    checkpoints.seal(metadata=Metadata(actor="command:test"))
    with httpx.Client(base_url=live_server.url, trust_env=False) as client:
        yield client


def test_it_watches_our_server_and_hands_its_cosignature_in(log, witness):
    assert witness_once(witness, log) == 1
    assert Cosignature.objects.get().witness == NAME
    assert NAME in log.get("/api/log/checkpoint").text
    assert witness_once(witness, log) == 1  # the same one again


def test_it_tells_when_our_server_shows_less_than_before(log, witness):
    witness.state.write_text(json.dumps({ORIGIN: {"size": 9, "root": base64.b64encode(b"r" * 32).decode()}}))
    with pytest.raises(NotCosigned, match="1 events after it has shown 9"):
        witness_once(witness, log)


def test_it_refuses_a_fork_of_our_server(log, witness):
    witness.state.write_text(json.dumps({ORIGIN: {"size": 1, "root": base64.b64encode(b"r" * 32).decode()}}))
    with pytest.raises(NotCosigned, match="422: two roots of 1 leaves differ"):
        witness_once(witness, log)
    assert not Cosignature.objects.exists()


def test_the_command_makes_a_key_that_only_its_owner_reads(tmp_path, capsys):
    arguments = ["--name", NAME, "--key", str(tmp_path / "key"), "--state", str(tmp_path / "state"), "key"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out.strip()
    assert VerifierKey.parse(printed).name == NAME
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    main(arguments)
    assert capsys.readouterr().out.strip() == printed


def test_the_command_refuses_names_and_keys_that_cannot_be(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--name", "a b", "--key", str(tmp_path / "key"), "--state", "s", "key"])
    with pytest.raises(SystemExit, match="2"):
        main(["--name", NAME, "--key", str(tmp_path / "key"), "--state", "s", "--log", "x", "key"])
    assert "name+id+base64" in capsys.readouterr().err


def test_a_log_that_cannot_be_reached_is_told(tmp_path, capsys):
    files = ["--key", str(tmp_path / "key"), "--state", str(tmp_path / "state")]
    assert main(["--name", NAME, *files, "watch", "--url", "http://127.0.0.1:9", "--once"]) == 1
    assert "not cosigned" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["awareness_sdk.verify", "awareness_sdk.witness.__main__"])
def test_without_the_extra_the_message_has_the_command_that_helps(module):
    blocked = "import sys; sys.modules['cryptography'] = None; import " + module
    result = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True)
    assert "pip install 'latentmas[verify]'" in result.stderr
