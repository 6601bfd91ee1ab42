"""verify_log finds what was done to a sealed log, even by somebody who reseals what he has changed."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command

from latentmas.events import triggers
from latentmas.events.models import Event, LogHead
from latentmas.events.records import leaf_hash
from latentmas.protocol import notes
from latentmas.transparency import checkpoints, keys
from latentmas.transparency.models import Checkpoint, SigningKey, Tile
from latentmas.transparency.queries import verify_row
from latentmas.transparency.verification import verify_tree
from tests.events.sample import BY
from tests.transparency.conftest import ORIGIN

LAST = 300  # 299 events and the key's own


@pytest.fixture(autouse=True)
def _log(record):
    record(10)
    checkpoints.seal(metadata=BY)
    record(LAST - 11)
    checkpoints.seal(metadata=BY)


def faults():
    return [fault.what for fault in verify_tree()]


def reseal(position, **columns):
    """Change an event as somebody would who knows how leaf hashes are made."""
    row = Event.objects.get(position=position)
    for name, value in columns.items():
        setattr(row, name, value)
    columns["leaf_hash"] = leaf_hash(position, row.type, row.stream, bytes(row.salt), bytes(row.body))
    with triggers.lifted():
        Event.objects.filter(position=position).update(**columns)


def test_an_untouched_log_has_no_fault(capsys):
    assert faults() == []
    call_command("verify_log")
    assert f"{LAST} events, no fault." in capsys.readouterr().out
    assert verify_row(5).valid


def test_an_edited_body_is_found_though_its_leaf_was_made_again():
    body = bytes(Event.objects.get(position=5).body).replace(b"note 4", b"note 9")
    reseal(5, body=body)
    assert faults() == [
        "the checkpoint of 11 events is of another tree: the log was forked or its events were changed",
        "the tile 0/0 is not of the leaves that the log holds",
        "the checkpoint of 300 events is of another tree: the log was forked or its events were changed",
        "the tile 1/0 is not of the leaves that the log holds",
    ]
    assert not verify_row(5).valid


def test_a_removed_event_is_found():
    with triggers.lifted():
        Event.objects.filter(position=LAST).delete()
        triggers.remove()
        LogHead.objects.update(position=LAST - 1)
    assert "the tree has 300 leaves, but the log only 299 of these events" in faults()
    assert verify_row(LAST).faults == ("there is no event at position 300",)
    with pytest.raises(CommandError, match="fault"):
        call_command("verify_log")


def test_exchanged_events_are_found():
    first, second = (Event.objects.get(position=position) for position in (20, 21))
    same = ("type", "stream", "salt", "body")
    reseal(20, **{name: getattr(second, name) for name in same})
    reseal(21, **{name: getattr(first, name) for name in same})
    assert "the tile 0/0 is not of the leaves that the log holds" in faults()
    assert not verify_row(20).valid


def test_a_forked_checkpoint_is_found():
    text = notes.checkpoint_text(ORIGIN, size=LAST, root=b"f" * 32)
    note = notes.signed(text, name=ORIGIN, key=Ed25519PrivateKey.from_private_bytes(b"l" * 32))
    Checkpoint.objects.filter(size=LAST).update(root=b"f" * 32, note=note)
    assert faults() == [
        "the checkpoint of 300 events is of another tree: the log was forked or its events were changed"
    ]
    assert "not in the tree" in verify_row(5).faults[0]


def test_a_checkpoint_of_more_than_the_log_is_found():
    last = Checkpoint.objects.get(size=LAST)
    Checkpoint.objects.create(size=LAST + 1, root=last.root, note=last.note, sealed_at=last.sealed_at)
    assert faults() == ["the checkpoint of 301 events is of more than the tree has"]


def test_a_checkpoint_that_contradicts_its_note_is_found():
    Checkpoint.objects.filter(size=LAST).update(root=b"f" * 32)
    assert faults() == ["the checkpoint of 300 events says something else in its note than in its columns"]


@pytest.mark.parametrize(
    ("name", "seed", "what"),
    [(ORIGIN, b"x" * 32, "signed by no key of this log"), ("other.example/log", b"l" * 32, "signed by no key")],
)
def test_a_checkpoint_under_a_wrong_key_id_is_found(name, seed, what):
    text = Checkpoint.objects.get(size=LAST).note.partition("\n\n")[0] + "\n"
    Checkpoint.objects.filter(size=LAST).update(
        note=notes.signed(text, name=name, key=Ed25519PrivateKey.from_private_bytes(seed))
    )
    assert len(faults()) == 1
    assert what in faults()[0]
    assert verify_row(5).faults == ("the checkpoint is signed by no key of this log",)


def test_a_signature_that_does_not_fit_is_found():
    head, line = Checkpoint.objects.get(size=LAST).note.rsplit("— ", 1)
    swapped = line[:60] + line[60:80].swapcase() + line[80:]
    Checkpoint.objects.filter(size=LAST).update(note=f"{head}— {swapped}")
    assert "does not fit the note" in faults()[0]


def test_a_right_signature_under_another_origin_is_found():
    text = notes.checkpoint_text("other.example/log", size=LAST, root=bytes(Checkpoint.objects.get(size=LAST).root))
    note = notes.signed(text, name=ORIGIN, key=Ed25519PrivateKey.from_private_bytes(b"l" * 32))
    Checkpoint.objects.filter(size=LAST).update(note=note)
    assert faults() == ["the checkpoint of 300 events is signed by no key of this log"]


def test_a_key_whose_event_cannot_be_read_is_a_fault_and_no_crash():
    with triggers.lifted():
        Event.objects.filter(type="key.created").update(body=b"?")
    assert faults()[0] == "the event 'key.created' cannot be read, so its key is not known"


def test_checkpoints_are_read_in_pages(monkeypatch):
    monkeypatch.setattr("latentmas.transparency.verification.PAGE", 1)
    assert faults() == []


def test_a_key_signs_no_tree_that_holds_its_own_end(settings):
    keys.retire_key(SigningKey.objects.get().key_id, metadata=BY)
    settings.LOG_SIGNING_KEY = b"n" * 32
    sealed = checkpoints.seal(metadata=BY)
    assert faults() == []
    text = sealed.note.partition("\n\n")[0] + "\n"
    sealed.note = notes.signed(text, name=ORIGIN, key=Ed25519PrivateKey.from_private_bytes(b"l" * 32))
    sealed.save()
    assert faults() == ["the checkpoint of 302 events is signed by a key whose use ended at position 301"]


def test_tiles_that_are_missing_changed_or_too_many_are_found():
    Tile.objects.filter(level=1).delete()
    assert faults() == ["the tile 1/0 is missing", "2 tiles are stored where a tree of 300 leaves has 3"]
    Tile.objects.create(level=1, index=0, hashes=b"x" * 32)
    assert faults() == ["the tile 1/0 is not of the leaves that the log holds"]


def test_an_event_that_is_not_sealed_yet_is_no_fault_of_the_tree_but_cannot_be_proven(record):
    record(1)
    assert faults() == []
    assert "not in the tree" in verify_row(LAST + 1).faults[0]
