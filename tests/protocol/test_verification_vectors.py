"""What other implementations sign and prove is verified here, and what they refuse is refused."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latentmas.protocol import dsse, notes
from latentmas.protocol.verification.envelopes import open_envelope
from latentmas.protocol.verification.errors import VerificationFailed
from latentmas.protocol.verification.notes import VerifierKey, read_note, read_tree_head, verified
from latentmas.protocol.verification.proofs import verify_consistency, verify_inclusion

VECTORS = Path(__file__).parent / "vectors"
MERKLE = json.loads((VECTORS / "merkle.json").read_text())
DSSE = json.loads((VECTORS / "dsse.json").read_text())

# golang.org/x/mod, sumdb/note, note_test.go.
GO_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_OTHER_KEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
GO_OTHER_SIGNATURE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
NOT_A_KEY = r"verifier key|Ed25519 key|the id of"
# C2SP signed-note.
C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# C2SP tlog-checkpoint, with a cosignature of tlog-cosignature; their keys are not published.
C2SP_CHECKPOINT = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE"
    "+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe"
    "+mbIUBkBIfZ+qnA==\n"
)


def decoded(hashes):
    return [base64.b64decode(each) for each in hashes or []]


def outcome(verify, **arguments):
    try:
        verify(**arguments)
    except VerificationFailed:
        return "refused"
    return "accepted"


@pytest.mark.parametrize("each", MERKLE["inclusion"], ids=lambda each: each["desc"])
def test_inclusion_proofs_of_transparency_dev(each):
    leaf, root = base64.b64decode(each["leafHash"] or ""), base64.b64decode(each["root"] or "")
    found = outcome(
        lambda **given: verify_inclusion(leaf, **given),
        index=each["leafIdx"],
        size=each["treeSize"],
        proof=decoded(each["proof"]),
        root=root,
    )
    assert found == ("refused" if each["wantErr"] else "accepted")


# There a proof from the empty tree is refused as useless; a witness must accept one (C2SP tlog-witness).
@pytest.mark.parametrize(
    "each", [each for each in MERKLE["consistency"] if each["size1"]], ids=lambda each: each["desc"]
)
def test_consistency_proofs_of_transparency_dev(each):
    found = outcome(
        verify_consistency,
        old=each["size1"],
        new=each["size2"],
        old_root=base64.b64decode(each["root1"] or ""),
        new_root=base64.b64decode(each["root2"] or ""),
        proof=decoded(each["proof"]),
    )
    assert found == ("refused" if each["wantErr"] else "accepted")


@pytest.mark.parametrize("each", DSSE["vectors"], ids=lambda each: each["id"])
def test_envelopes_of_the_dsse_project(each):
    envelope = {
        "payloadType": each["payloadType"],
        "payload": each["payload"],
        "signatures": [{"keyid": "A", "sig": each["sig"]}],
    }
    keys = {name: bytes.fromhex(key) for name, key in DSSE["keys"].items()}
    found = outcome(open_envelope, envelope=envelope, keys=keys, payload_type=each["supported"])
    assert found == f"{each['expect']}ed".replace("rejected", "refused")


@pytest.mark.parametrize("each", [each for each in DSSE["vectors"] if each["pae"]], ids=lambda each: each["id"])
def test_our_envelopes_are_those_of_the_dsse_project(each):
    payload = base64.urlsafe_b64decode(each["payload"])
    assert dsse.pre_authentication_encoding(each["payloadType"], payload).hex() == each["pae"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(DSSE["seeds"]["A"]))
    made = dsse.sign_envelope(payload, payload_type=each["payloadType"], key=key, key_id="A")
    assert base64.b64decode(made.signatures[0].sig) == base64.b64decode(
        each["sig"], altchars=b"-_" if "_" in each["sig"] else None
    )


def test_our_note_is_the_one_that_go_signs_with_the_same_key():
    key = Ed25519PrivateKey.from_private_bytes(GO_SEED)
    assert notes.signed(GO_TEXT, name="PeterNeumann", key=key) == f"{GO_TEXT}\n{GO_SIGNATURE}"
    public = key.public_key().public_bytes_raw()
    assert notes.verifier_key("PeterNeumann", notes.SignatureType.ED25519, public) == GO_KEY


def test_notes_of_go_are_verified_by_each_of_their_keys():
    note = read_note(f"{GO_TEXT}\n{GO_SIGNATURE}{GO_OTHER_SIGNATURE}")
    assert note.text == GO_TEXT
    keys = [VerifierKey.parse(GO_KEY), VerifierKey.parse(GO_OTHER_KEY)]
    assert list(verified(note, keys)) == keys
    assert list(verified(note, keys[:1])) == keys[:1]
    assert not verified(note, [])


def test_the_note_of_the_specification_is_verified():
    assert verified(read_note(C2SP_NOTE), [VerifierKey.parse(C2SP_KEY)])


def test_the_checkpoint_of_the_specification_is_read():
    note = read_note(C2SP_CHECKPOINT)
    head = read_tree_head(note.text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert [each.name for each in note.signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert notes.checkpoint_text(head.origin, size=head.size, root=head.root) == note.text


@pytest.mark.parametrize("start", range(0, len(GO_KEY), 3))
def test_a_verifier_key_that_is_cut_is_refused(start):
    with pytest.raises(ValueError, match=NOT_A_KEY):
        VerifierKey.parse(GO_KEY[start + 1 :])


@pytest.mark.parametrize("at", range(len(GO_KEY)))
def test_a_verifier_key_of_which_one_character_is_another_is_refused(at):
    with pytest.raises(ValueError, match=NOT_A_KEY):
        VerifierKey.parse(GO_KEY[:at] + chr(ord(GO_KEY[at]) + 1) + GO_KEY[at + 1 :])


@pytest.mark.parametrize(
    "key",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",  # too long, with its own id
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # unknown algorithm, with its own id
    ],
)
def test_keys_that_go_refuses_are_refused(key):
    with pytest.raises(ValueError, match="Ed25519"):
        VerifierKey.parse(key)


@pytest.mark.parametrize(
    "note",
    [
        GO_TEXT,
        f"{GO_TEXT}\n",
        f"{GO_TEXT}\n{GO_SIGNATURE[:-1]}",
        f"\x01{GO_TEXT}\n{GO_SIGNATURE}",
        f"{GO_TEXT}\n{GO_SIGNATURE.replace('PeterNeumann', 'Bad Name')}",
        f"{GO_TEXT}\n{GO_SIGNATURE}Unexpected line.\n",
        f"{GO_TEXT}\n{GO_SIGNATURE * 101}",
    ],
)
def test_notes_that_go_refuses_are_refused(note):
    with pytest.raises(VerificationFailed) as failure:
        read_note(note)
    assert failure.value.reason == "note_malformed"


def test_a_signature_of_a_known_key_that_does_not_fit_refuses_the_whole_note():
    damaged = GO_SIGNATURE[:60] + "ABCD" + GO_SIGNATURE[60:]
    with pytest.raises(VerificationFailed) as failure:
        verified(read_note(f"{GO_TEXT}\n{damaged}"), [VerifierKey.parse(GO_KEY)])
    assert failure.value.reason == "signature_invalid"


def test_a_signature_under_another_key_id_or_name_is_nobodys():
    key = VerifierKey.parse(GO_KEY)
    assert not verified(read_note(f"{GO_TEXT}\n{GO_SIGNATURE.replace('x08g', 'xxxx')}"), [key])
    assert not verified(read_note(f"{GO_TEXT}\n{GO_SIGNATURE.replace('PeterNeumann', 'CarmenSandiego')}"), [key])


@pytest.mark.parametrize(
    "lines", ["origin\n5", "origin\n05\n" + "A" * 43 + "=", "origin\n5\nAAAA", "\n5\n" + "A" * 43 + "="]
)
def test_a_note_that_is_no_checkpoint_is_refused(lines):
    with pytest.raises(VerificationFailed, match="origin, size and root hash"):
        read_tree_head(f"{lines}\n")
