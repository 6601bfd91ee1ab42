"""Read signed notes and checkpoints, as C2SP signed-note, tlog-checkpoint and tlog-cosignature define them."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from latentmas.protocol.verification.errors import Reason, VerificationFailed
from latentmas.protocol.verification.signatures import is_signed

MAX_BYTES = 64 * 1024
MAX_SIGNATURES = 100
MAX_TIME = (1 << 63) - 1  # POSIX seconds in a cosignature
ED25519, COSIGNATURE = 0x01, 0x04
LENGTHS = {ED25519: 64, COSIGNATURE: 8 + 64}  # bytes of a signature, after its key's id
NAME = r"[^\s+]+"
LINE = re.compile(rf"\N{{EM DASH}} ({NAME}) ([A-Za-z0-9+/]+={{0,2}})")
VKEY = re.compile(rf"({NAME})\+([0-9a-f]{{8}})\+([A-Za-z0-9+/]+={{0,2}})")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Whose signatures are believed: a key's name and id in notes, what it signs, and its public key."""

    name: str
    key_id: bytes
    kind: int
    public_key: bytes

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Return the key of a vkey `name+id+base64`. Raises ValueError with what is wrong."""
        match = VKEY.fullmatch(text)
        material = _decoded(match[3]) if match else None
        if match is None or material is None:
            raise ValueError(f"{text!r} is not a verifier key; it is written name+id+base64")
        name, kind, public_key = match[1], material[0], material[1:]
        if kind not in LENGTHS or len(public_key) != 32:
            raise ValueError(f"{text!r} is no Ed25519 key for notes (01) or for cosignatures (04)")
        if bytes.fromhex(match[2]) != (key_id := hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]):
            raise ValueError(f"the id of {name!r} is {match[2]}, but its key has {key_id.hex()}")
        return cls(name, key_id, kind, public_key)


@dataclass(frozen=True, slots=True)
class NoteSignature:
    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a checkpoint says: whose log it is, how many leaves it has, and their root."""

    origin: str
    size: int
    root: bytes


def read_note(note: str) -> Note:
    """Return a note's text and signatures, of which none is verified yet. Raises VerificationFailed."""
    text, separator, lines = note.rpartition("\n\n")
    rows = lines.removesuffix("\n").split("\n")
    if len(note) > MAX_BYTES or not separator or not lines.endswith("\n") or CONTROL.search(note):
        raise _malformed("a note is text, an empty line and signature lines, each ended by a newline")
    if len(rows) > MAX_SIGNATURES:
        raise _malformed(f"the note has {len(rows)} signatures; at most {MAX_SIGNATURES} are read")
    return Note(text + "\n", tuple(_signature(row) for row in rows))


def verified(note: Note, keys: Iterable[VerifierKey]) -> dict[VerifierKey, NoteSignature]:
    """Return which of the keys have signed the note; signatures of other keys are ignored.

    Raises VerificationFailed where a signature names one of the keys and is not its own.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found: dict[VerifierKey, NoteSignature] = {}
    for each in note.signatures:
        key = known.get((each.name, each.key_id))
        if key is None:
            continue
        right = len(each.signature) == LENGTHS[key.kind] and (key.kind == ED25519 or timestamp_of(each) <= MAX_TIME)
        if not right or not is_signed(*_signed_by(key, note.text, each), key.public_key):
            raise VerificationFailed(
                Reason.SIGNATURE_INVALID, f"the signature of {each.name} ({each.key_id.hex()}) does not fit the note"
            )
        found[key] = each
    return found


def read_tree_head(text: str) -> TreeHead:
    """Return what a checkpoint's text says. Raises VerificationFailed."""
    lines = text.removesuffix("\n").split("\n")
    root = _decoded(lines[2]) if len(lines) > 2 and all(lines) else None
    if root is None or len(root) != 32 or SIZE.fullmatch(lines[1]) is None:
        raise _malformed("a checkpoint has the lines origin, size and root hash in base64")
    return TreeHead(lines[0], int(lines[1]), root)


def timestamp_of(signature: NoteSignature) -> int:
    """Return when a witness signed, in POSIX seconds, from a verified cosignature."""
    return int.from_bytes(signature.signature[:8], "big")


def _signed_by(key: VerifierKey, text: str, each: NoteSignature) -> tuple[bytes, bytes]:
    """Return the message that the key signs for a note's text, and the signature itself."""
    if key.kind == ED25519:
        return text.encode(), each.signature
    return f"cosignature/v1\ntime {timestamp_of(each)}\n{text}".encode(), each.signature[8:]


def _signature(row: str) -> NoteSignature:
    match = LINE.fullmatch(row)
    data = _decoded(match[2]) if match else None
    if match is None or data is None or len(data) < 5:
        raise _malformed(f"{row[:80]!r} is not a signature line: em dash, key name, base64")
    return NoteSignature(match[1], data[:4], data[4:])


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _malformed(message: str) -> VerificationFailed:
    return VerificationFailed(Reason.NOTE_MALFORMED, message)
