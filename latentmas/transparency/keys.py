"""The keys that sign: their private half comes from the environment, their public half and their end are events."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from latentmas.events.commands import Aggregate, execute, load
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol import notes
from latentmas.protocol.errors import NotFound
from latentmas.transparency.errors import SigningKeyMissing, SigningKeyNotUsable
from latentmas.transparency.events import KeyCreated, KeyRetired, KeyRevoked, Purpose, RevocationReason
from latentmas.transparency.models import SigningKey

SETTINGS = {
    Purpose.LOG: "LOG_SIGNING_KEY",
    Purpose.CERTIFICATE: "CERTIFICATE_SIGNING_KEY",
    Purpose.RECEIPT: "RECEIPT_SIGNING_KEY",
}


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key that may sign now, and the id under which its public half is on record."""

    key_id: str
    key: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class KeyState:
    created: KeyCreated | None = None
    retired: bool = False
    revoked: bool = False


def evolve(state: KeyState, recorded: Recorded) -> KeyState:
    match recorded.data:
        case KeyCreated() as created:
            return replace(state, created=created)
        case KeyRetired():
            return replace(state, retired=True)
        case KeyRevoked():
            return replace(state, revoked=True)
    return state


KEY = Aggregate("key", KeyState(), evolve)


def signer(purpose: Purpose, *, metadata: Metadata) -> Signer:
    """Return the key of the settings for a purpose, put on record when it is first used.

    Raises SigningKeyMissing where this process has none, and SigningKeyNotUsable for one that is retired, revoked or
    on record for another purpose.
    """
    seed: bytes | None = getattr(settings, SETTINGS[purpose])
    if seed is None:
        raise SigningKeyMissing(
            f"this process has no key to sign for the purpose {purpose.value!r}",
            resolution=f"Set {SETTINGS[purpose]} or {SETTINGS[purpose]}_FILE where this runs.",
        )
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public_key = key.public_key().public_bytes_raw()
    created = KeyCreated(
        key_id=hashlib.sha256(public_key).hexdigest(),
        purpose=purpose,
        name=settings.LOG_ORIGIN,
        public_key=base64.b64encode(public_key).decode(),
    )
    state, _ = load(KEY, created.key_id)
    if decide_create(state, created):  # most times it is on record, and nobody has to wait for a lock
        execute(KEY, created.key_id, lambda state: decide_create(state, created), metadata=metadata)
    return Signer(created.key_id, key)


def retire_key(key_id: str, *, metadata: Metadata) -> list[Recorded]:
    """End a key's use; what it has signed stays valid. Raises NotFound or SigningKeyNotUsable."""
    return execute(KEY, key_id, lambda state: decide_retire(state, key_id), metadata=metadata)


def revoke_key(key_id: str, *, reason: RevocationReason, metadata: Metadata) -> list[Recorded]:
    """Declare that nothing the key signed is to be believed. Raises NotFound or SigningKeyNotUsable."""
    return execute(KEY, key_id, lambda state: decide_revoke(state, key_id, reason), metadata=metadata)


def verifier_key(row: SigningKey) -> str:
    """Return a key of the log as verifiers of notes take it."""
    return notes.verifier_key(row.name, notes.SignatureType.ED25519, base64.b64decode(row.public_key))


def decide_create(state: KeyState, created: KeyCreated) -> Sequence[object]:
    """Put a key on record, once. Raises SigningKeyNotUsable."""
    if state.created is None:
        return (created,)
    ended = "revoked" if state.revoked else "retired" if state.retired else None
    if ended or state.created != created:
        was = f"is {ended}" if ended else f"is on record for {state.created.purpose.value!r} of {state.created.name!r}"
        raise SigningKeyNotUsable(
            f"the key {created.key_id} {was}",
            resolution=f"Make another key and set {SETTINGS[created.purpose]} to it.",
        )
    return ()


def decide_retire(state: KeyState, key_id: str) -> Sequence[object]:
    _require_created(state, key_id)
    if state.retired or state.revoked:
        raise SigningKeyNotUsable(f"the key {key_id} is {'revoked' if state.revoked else 'retired'} already")
    return (KeyRetired(key_id),)


def decide_revoke(state: KeyState, key_id: str, reason: RevocationReason) -> Sequence[object]:
    _require_created(state, key_id)
    if state.revoked:
        raise SigningKeyNotUsable(f"the key {key_id} is revoked already")
    return (KeyRevoked(key_id, reason),)


def _require_created(state: KeyState, key_id: str) -> None:
    if state.created is None:
        raise NotFound(f"no key with the id {key_id!r} is on record", resolution="GET /api/log/keys lists them.")
