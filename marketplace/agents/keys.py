"""Ed25519 keys of agents, and the check of what they sign."""

import base64
import binascii
import hashlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from latentmas.protocol.errors import InvalidInput
from marketplace.agents.errors import SignatureInvalid

KEY_BYTES = 32
SIGNATURE_BYTES = 64
KEY_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
# What is signed begins with one of these, so that no signature made for another purpose fits.
UPLOAD = "latentmas-upload-v1"
RECERTIFICATION = "latentmas-recertification-v1"


def key_id_of(public_key: str) -> str:
    """Return the first 16 hex digits of the SHA-256 of a key given as base64. Raises InvalidInput."""
    return hashlib.sha256(key_bytes(public_key)).hexdigest()[:16]


def signed_bytes(agent_id: str, digest: str, *, context: str = UPLOAD) -> bytes:
    """Return what an agent signs: three lines, the context, its own id and the `sha256:<hex>` of what it is for."""
    return f"{context}\n{agent_id}\n{digest}\n".encode()


def signature_of(key: Ed25519PrivateKey, agent_id: str, digest: str, *, context: str = UPLOAD) -> str:
    """Return the agent's signature for a digest as `<key id>:<base64>`."""
    public_key = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    signature = base64.b64encode(key.sign(signed_bytes(agent_id, digest, context=context))).decode()
    return f"{key_id_of(public_key)}:{signature}"


def parse_signature(text: str) -> tuple[str, bytes]:
    """Return key id and signature of `<key id>:<base64>`. Raises SignatureInvalid."""
    key_id, _, encoded = text.partition(":")
    signature = _decoded(encoded)
    if KEY_ID.fullmatch(key_id) is None or signature is None or len(signature) != SIGNATURE_BYTES:
        raise SignatureInvalid(
            f"the signature is not written as <key id>:<base64>: 16 hex digits, and {SIGNATURE_BYTES} bytes",
            field="signature",
        )
    return key_id, signature


def holds(public_key: str, signature: bytes, message: bytes) -> bool:
    """Return whether the signature is the key's over the message."""
    try:
        Ed25519PublicKey.from_public_bytes(key_bytes(public_key)).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def key_bytes(public_key: str) -> bytes:
    """Return the 32 bytes of a key given as base64. Raises InvalidInput."""
    key = _decoded(public_key)
    if key is None or len(key) != KEY_BYTES:
        raise InvalidInput(
            f"an Ed25519 public key is the base64 of {KEY_BYTES} bytes", field="public_key", public_key=public_key[:100]
        )
    return key


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
