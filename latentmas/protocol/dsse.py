"""Write DSSE envelopes: a payload with its type, both under the signature."""

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

IN_TOTO = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Signature:
    keyid: str
    sig: str  # base64


@dataclass(frozen=True, slots=True)
class DsseEnvelope:
    """An envelope as DSSE's JSON spells it."""

    payloadType: str  # noqa: N815 - the name that the format has
    payload: str  # base64
    signatures: tuple[Signature, ...]


def sign_envelope(payload: bytes, *, payload_type: str, key: "Ed25519PrivateKey", key_id: str) -> DsseEnvelope:
    """Return the envelope of a payload with one Ed25519 signature over its pre-authentication encoding."""
    signature = key.sign(pre_authentication_encoding(payload_type, payload))
    return DsseEnvelope(payload_type, _base64(payload), (Signature(key_id, _base64(signature)),))


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return what DSSE signs: lengths in bytes make type and payload unambiguous."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
