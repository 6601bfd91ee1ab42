"""What the log signs of itself, and what it takes from witnesses."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latentmas.events import store
from latentmas.events.errors import LogCorrupted
from latentmas.protocol import notes
from latentmas.protocol.errors import NotFound
from latentmas.protocol.verification.errors import VerificationFailed
from latentmas.protocol.verification.notes import VerifierKey, read_note, read_tree_head, verified
from latentmas.transparency import checkpoints, keys, tree
from latentmas.transparency.errors import (
    CheckpointForked,
    NotSealed,
    SigningKeyMissing,
    SigningKeyNotUsable,
    WitnessNotTrusted,
)
from latentmas.transparency.events import RevocationReason
from latentmas.transparency.models import Checkpoint, Cosignature, SigningKey, Tile
from tests.events.sample import BY
from tests.transparency.conftest import ORIGIN, WITNESS, cosigned


@pytest.fixture
def checkpoint(record):
    record(5)
    return checkpoints.seal(metadata=BY)


def test_a_checkpoint_is_a_note_that_the_logs_key_has_signed(checkpoint):
    note = read_note(checkpoint.note)
    key = VerifierKey.parse(keys.verifier_key(SigningKey.objects.get()))
    assert list(verified(note, [key])) == [key]
    head = read_tree_head(note.text)
    assert (head.origin, head.size, head.root) == (ORIGIN, 6, tree.root(6))


def test_the_keys_first_use_is_an_event_under_the_checkpoint(checkpoint):
    assert store.read_all()[-1].type == "key.created"
    assert checkpoint.size == store.head_position() == 6


def test_nothing_new_gives_the_same_checkpoint(checkpoint):
    assert checkpoints.seal(metadata=BY) == checkpoint
    assert Checkpoint.objects.count() == 1


def test_what_is_recorded_later_is_under_the_next_one(checkpoint, record):
    record(3)
    assert checkpoints.seal(metadata=BY).size == 9
    assert checkpoints.latest().size == 9


def test_there_is_none_before_the_first(db):
    with pytest.raises(NotSealed):
        checkpoints.latest()


def test_a_process_without_the_key_seals_nothing(record, settings):
    settings.LOG_SIGNING_KEY = None
    with pytest.raises(SigningKeyMissing, match="no key to sign"):
        checkpoints.seal(metadata=BY)
    assert not Checkpoint.objects.exists()


@pytest.mark.parametrize("end", ["retire", "revoke"])
def test_a_key_whose_use_has_ended_seals_nothing(checkpoint, end):
    key_id = SigningKey.objects.get().key_id
    if end == "retire":
        keys.retire_key(key_id, metadata=BY)
    else:
        keys.revoke_key(key_id, reason=RevocationReason.COMPROMISED, metadata=BY)
    with pytest.raises(SigningKeyNotUsable, match=f"{end}d"):
        checkpoints.seal(metadata=BY)
    assert Checkpoint.objects.count() == 1


def test_another_key_takes_over(checkpoint, settings):
    keys.retire_key(SigningKey.objects.get().key_id, metadata=BY)
    settings.LOG_SIGNING_KEY = b"n" * 32
    sealed = checkpoints.seal(metadata=BY)
    new = SigningKey.objects.exclude(retired_at__isnull=False).get()
    assert verified(read_note(sealed.note), [VerifierKey.parse(keys.verifier_key(new))])


def test_a_tree_that_contradicts_the_last_checkpoint_is_not_signed(checkpoint, record):
    Tile.objects.filter(level=0, index=0).update(hashes=b"x" * 6 * 32)
    record(1)
    with pytest.raises(LogCorrupted, match="not of this log"):
        checkpoints.seal(metadata=BY)
    assert Checkpoint.objects.count() == 1


def test_a_cosignature_of_a_trusted_witness_is_kept_and_served(checkpoint):
    note = cosigned(checkpoint.note)
    checkpoints.accept_cosignatures(note)
    assert checkpoints.cosigned_note(checkpoints.latest()) == note
    assert Cosignature.objects.get().witness == WITNESS


def test_a_later_cosignature_takes_the_place_of_the_earlier(checkpoint):
    for timestamp in (1_800_000_000, 1_800_000_060):
        checkpoints.accept_cosignatures(cosigned(checkpoint.note, timestamp=timestamp))
    assert Cosignature.objects.get().signed_at == 1_800_000_060


def test_an_earlier_cosignature_that_somebody_sends_again_changes_nothing(checkpoint):
    for timestamp in (1_800_000_060, 1_800_000_000):
        checkpoints.accept_cosignatures(cosigned(checkpoint.note, timestamp=timestamp))
    assert Cosignature.objects.get().signed_at == 1_800_000_060


def test_a_cosignature_from_beyond_time_is_refused(checkpoint):
    with pytest.raises(VerificationFailed) as failure:
        checkpoints.accept_cosignatures(cosigned(checkpoint.note, timestamp=1 << 63))
    assert failure.value.reason == "signature_invalid"


def test_a_note_without_a_trusted_witness_is_refused(checkpoint):
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    for note in (checkpoint.note, cosigned(checkpoint.note, key=stranger), cosigned(checkpoint.note, name="a/b")):
        with pytest.raises(WitnessNotTrusted):
            checkpoints.accept_cosignatures(note)
    assert not Cosignature.objects.exists()


def test_a_trusted_witness_name_over_a_signature_that_does_not_fit_is_refused(checkpoint):
    head, line = cosigned(checkpoint.note).rsplit("— ", 1)
    damaged = f"{head}— {line[:40]}{'A' if line[40] != 'A' else 'B'}{line[41:]}"
    with pytest.raises(VerificationFailed) as failure:
        checkpoints.accept_cosignatures(damaged)
    assert failure.value.reason == "signature_invalid"


def test_a_witness_that_saw_another_tree_is_told_of_the_fork(checkpoint, caplog):
    fork = notes.signed(
        notes.checkpoint_text(ORIGIN, size=6, root=b"f" * 32),
        name=ORIGIN,
        key=Ed25519PrivateKey.from_private_bytes(b"l" * 32),
    )
    with pytest.raises(CheckpointForked, match="another tree of 6 events"):
        checkpoints.accept_cosignatures(cosigned(fork))
    assert "another tree" in caplog.text
    assert not Cosignature.objects.exists()


@pytest.mark.parametrize(("origin", "size"), [(ORIGIN, 5), (ORIGIN, 7), ("other.example/log", 6)])
def test_a_checkpoint_that_was_never_made_is_not_found(checkpoint, origin, size):
    text = notes.checkpoint_text(origin, size=size, root=b"r" * 32)
    foreign = notes.signed(text, name=origin, key=Ed25519PrivateKey.from_private_bytes(b"l" * 32))
    with pytest.raises(NotFound):
        checkpoints.accept_cosignatures(cosigned(foreign))
