"""Write checkpoints as C2SP signed notes; `latentmas.protocol.verification` reads them, with code of its own."""

import base64
import hashlib
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_ID_BYTES = 4


class SignatureType(IntEnum):
    """The byte that keeps uses of one public key apart (C2SP signed-note)."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


def checkpoint_text(origin: str, *, size: int, root: bytes) -> str:
    """Return the text of a checkpoint (C2SP tlog-checkpoint), which is what is signed."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def signed(text: str, *, name: str, key: "Ed25519PrivateKey") -> str:
    """Return the note of a text with the signature of one key."""
    key_id = note_key_id(name, SignatureType.ED25519, key.public_key().public_bytes_raw())
    return f"{text}\n{signature_line(name, key_id + key.sign(text.encode()))}"


def cosignature_line(text: str, *, name: str, key: "Ed25519PrivateKey", timestamp: int) -> str:
    """Return a witness's signature line under a checkpoint (C2SP tlog-cosignature); the time is POSIX seconds."""
    key_id = note_key_id(name, SignatureType.COSIGNATURE, key.public_key().public_bytes_raw())
    message = f"cosignature/v1\ntime {timestamp}\n{text}".encode()
    return signature_line(name, key_id + timestamp.to_bytes(8, "big") + key.sign(message))


def signature_line(name: str, signature: bytes) -> str:
    """Return the line of a signature that begins with its key's id."""
    return f"\N{EM DASH} {name} {base64.b64encode(signature).decode()}\n"


def note_key_id(name: str, kind: SignatureType, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:KEY_ID_BYTES]


def verifier_key(name: str, kind: SignatureType, public_key: bytes) -> str:
    """Return the public key as a vkey: what a verifier of notes is configured with."""
    material = base64.b64encode(bytes([kind]) + public_key).decode()
    return f"{name}+{note_key_id(name, kind, public_key).hex()}+{material}"
