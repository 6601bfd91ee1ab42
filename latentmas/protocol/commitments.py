"""Salted digests: an event commits to a text that lies in an erasable table and says nothing once the salt is gone."""

import hashlib
import secrets

from latentmas.protocol.canonical import canonical

SALT_BYTES = 16


def new_salt() -> str:
    """Return a fresh salt as hex digits."""
    return secrets.token_hex(SALT_BYTES)


def commitment(value: object, *, salt: str) -> str:
    """Return `sha256:<hex>` of the salt's bytes and the canonical JSON of plain data. Raises InvalidInput."""
    return f"sha256:{hashlib.sha256(bytes.fromhex(salt) + canonical(value)).hexdigest()}"
