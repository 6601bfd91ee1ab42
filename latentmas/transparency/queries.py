"""Reads of the sealed log: proofs, tiles and entries up to the last checkpoint, and the check of a single event."""

from dataclasses import dataclass

from latentmas.events import verification
from latentmas.events.errors import LogCorrupted
from latentmas.events.models import Event
from latentmas.events.records import leaf_entry, recorded
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.merkle import HASH_BYTES, TILE_WIDTH, TileName
from latentmas.protocol.verification.errors import Reason, VerificationFailed
from latentmas.protocol.verification.notes import VerifierKey, read_note, read_tree_head, verified
from latentmas.protocol.verification.proofs import leaf_hash_of, verify_inclusion
from latentmas.transparency import tree
from latentmas.transparency.checkpoints import cosigned_note, latest
from latentmas.transparency.disclosure import is_disclosed
from latentmas.transparency.errors import NotSealed
from latentmas.transparency.events import Purpose
from latentmas.transparency.keys import verifier_key
from latentmas.transparency.models import Checkpoint, SigningKey

ENTRY_LENGTH_BYTES = 2


@dataclass(frozen=True, slots=True)
class OpenedBody:
    """What turns an entry's digest back into the event: SHA-256(salt + body) is the entry's `body`."""

    salt: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That the event at `position` is in the tree of `tree_size` events."""

    position: int
    tree_size: int
    entry: bytes
    proof: list[bytes]
    checkpoint: str | None  # the note of exactly this size, where one was sealed
    opened: OpenedBody | None  # None for an event that is not everybody's to read


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """What is wrong with one event, if anything, and what it was held against."""

    inclusion: Inclusion | None  # None where it could not be made, for a reason among the faults
    faults: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return not self.faults


def inclusion(position: int, *, tree_size: int | None = None) -> Inclusion:
    """Return the proof of an event, in the tree of the last checkpoint if no size is given. Raises NotSealed."""
    last = latest()
    size = last.size if tree_size is None else tree_size
    _require_sealed(size, last)
    if position > size:
        raise NotSealed(f"the event at position {position} is not in the tree of {size} events", tree_size=size)
    row = Event.objects.filter(position=position).first()
    if row is None:
        raise LogCorrupted(f"the log has no event at position {position}")
    salt, body = bytes(row.salt), bytes(row.body)
    return Inclusion(
        position=position,
        tree_size=size,
        entry=leaf_entry(position, row.type, row.stream, salt, body),
        proof=tree.inclusion_proof(position - 1, size=size),
        checkpoint=_note_of(size),
        opened=OpenedBody(salt, body) if is_disclosed(row.type, lambda: recorded(position, body)) else None,
    )


def consistency(old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `new` events begins with that of `old`. Raises NotSealed or InvalidInput."""
    if old > new:
        raise InvalidInput(f"a tree does not shrink: from is {old}, to is {new}", field="from")
    _require_sealed(new, latest())
    return tree.consistency_proof(old, new)


def tile(name: TileName, width: int) -> bytes:
    """Return the first `width` hashes of a tile. Raises NotSealed."""
    leaves = 1 << (8 * name.level)  # under each hash
    _require_sealed((name.index * TILE_WIDTH + width) * leaves, latest())
    return tree.tile_hashes(name)[: width * HASH_BYTES]


def entry_bundle(index: int, width: int) -> bytes:
    """Return the entries under the first hashes of a tile of level 0, each after its length. Raises NotSealed."""
    first = index * TILE_WIDTH
    _require_sealed(first + width, latest())
    rows = Event.objects.filter(position__gt=first, position__lte=first + width).order_by("position")
    columns = rows.values_list("position", "type", "stream", "salt", "body")
    entries = [
        leaf_entry(position, kind, stream, bytes(salt), bytes(body)) for position, kind, stream, salt, body in columns
    ]
    return b"".join(len(each).to_bytes(ENTRY_LENGTH_BYTES, "big") + each for each in entries)


def verify_row(position: int) -> RowVerdict:
    """Check one event against itself and against the last checkpoint, with the code that verifies what we publish."""
    faults = [fault.what for fault in verification.verify_position(position)]
    if faults:
        return RowVerdict(None, tuple(faults))
    try:
        found = inclusion(position)
        _verify(found)
    except (NotSealed, VerificationFailed) as error:
        return RowVerdict(None, (error.message,))
    return RowVerdict(found, ())


def _verify(found: Inclusion) -> None:
    assert found.checkpoint is not None  # the last checkpoint's
    note = read_note(found.checkpoint)
    keys = [VerifierKey.parse(verifier_key(each)) for each in SigningKey.objects.filter(purpose=Purpose.LOG)]
    if not verified(note, keys):
        raise VerificationFailed(Reason.KEY_UNKNOWN, "the checkpoint is signed by no key of this log")
    head = read_tree_head(note.text)
    leaf = leaf_hash_of(found.entry)
    verify_inclusion(leaf, index=found.position - 1, size=head.size, proof=found.proof, root=head.root)


def _note_of(size: int) -> str | None:
    checkpoint = Checkpoint.objects.filter(size=size).prefetch_related("cosignatures").first()
    return None if checkpoint is None else cosigned_note(checkpoint)


def _require_sealed(size: int, last: Checkpoint) -> None:
    if size > last.size:
        raise NotSealed(f"{size} events are not sealed yet; the last checkpoint has {last.size}", sealed=last.size)
