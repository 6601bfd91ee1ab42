"""Events of the signing keys. One stream per key: `key/<key id>`; the private half is in no database."""

from dataclasses import dataclass
from enum import StrEnum

from latentmas.events.types import event


class Purpose(StrEnum):
    LOG = "log"  # signs checkpoints
    CERTIFICATE = "certificate"  # signs certificates
    RECEIPT = "receipt"  # signs receipts of sales


class RevocationReason(StrEnum):
    COMPROMISED = "compromised"
    LOST = "lost"
    MISUSED = "misused"


@event("key.created")
@dataclass(frozen=True, slots=True)
class KeyCreated:
    key_id: str  # SHA-256 of the public key in hex
    purpose: Purpose
    name: str  # the log's origin; a note that the key signs names it
    public_key: str  # the 32 bytes of Ed25519 in base64


@event("key.retired")
@dataclass(frozen=True, slots=True)
class KeyRetired:
    """The key signs no more; what it has signed stays valid."""

    key_id: str


@event("key.revoked")
@dataclass(frozen=True, slots=True)
class KeyRevoked:
    """Nothing that the key signed is to be believed."""

    key_id: str
    reason: RevocationReason
