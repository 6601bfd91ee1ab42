"""Fingerprints: two short signatures of a memory that tell how much two memories share, and to outsiders nothing.

Every gram is hashed with a key that is derived from SECRET_KEY: without it nobody can make the fingerprint of a text
that he guesses. With another SECRET_KEY all fingerprints must be made anew (`manage.py rebuild_fingerprints`).
"""

import functools as ft
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from django.utils.crypto import salted_hmac

from latentmas.protocol.minhash import signature
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array
from marketplace.screening.grams import Basis, grams_of

PERMUTATIONS = 128
BANDS, BAND_ROWS = 32, 2  # of a signature's places the first 64 are looked up by, in pairs
PLACE = np.dtype("<u2")  # bytes of a signature: the low half of each least hash
BASES: tuple[Basis, ...] = ("tokens", "rows")
SALT = "marketplace.screening.fingerprints"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Signatures by token ids and by cached values, PERMUTATIONS places each; None where there was nothing to sign."""

    key_id: str
    tokens: bytes | None
    rows: bytes | None

    def of(self, basis: Basis) -> bytes | None:
        return self.tokens if basis == "tokens" else self.rows

    @property
    def bands(self) -> list[int]:
        """The numbers that it is looked up by: memories that share much share some of them."""
        return [value for basis in BASES for value in _bands(self.of(basis), basis)]


def fingerprint_of(snapshots: Iterable[KVSnapshot]) -> Fingerprint:
    """Return the fingerprint of a memory, or of all segments of a long-term memory together."""
    key = _key(settings.SECRET_KEY)
    grams: dict[Basis, set[bytes]] = {basis: set() for basis in BASES}
    for snapshot in snapshots:
        for basis in BASES:
            grams[basis] |= grams_of(snapshot, basis, key=key)
    return Fingerprint(key_id(), *(_signed(grams[basis], key) for basis in BASES))


def key_id() -> str:
    """Return the name of the key that fingerprints are made with now."""
    return hashlib.sha256(_key(settings.SECRET_KEY)).hexdigest()[:16]


def similarity(one: bytes | None, others: Iterable[bytes | None]) -> Array:
    """Return the estimated share of grams in common with each of the others `[others]`; 0 where either has none.

    The standard error is at most .045.
    """
    signatures = list(others)
    if one is None or not signatures:
        return np.zeros(len(signatures))
    absent = b"\0" * (PERMUTATIONS * PLACE.itemsize)
    known = np.frombuffer(b"".join(each or absent for each in signatures), PLACE).reshape(-1, PERMUTATIONS)
    shared: Array = (known == np.frombuffer(one, PLACE)).mean(axis=1)
    shared[[each is None for each in signatures]] = 0
    return shared


def _signed(grams: set[bytes], key: bytes) -> bytes | None:
    if not grams:
        return None
    hashes = b"".join(hashlib.blake2b(gram, digest_size=8, key=key).digest() for gram in grams)
    least = signature(np.frombuffer(hashes, "<u8"), permutations=PERMUTATIONS)
    return (least & 0xFFFF).astype(PLACE).tobytes()


def _bands(places: bytes | None, basis: Basis) -> list[int]:
    if places is None:
        return []
    size = BAND_ROWS * PLACE.itemsize
    named = (f"{basis}/{band}/".encode() + places[band * size : (band + 1) * size] for band in range(BANDS))
    return [int.from_bytes(hashlib.blake2b(each, digest_size=8).digest(), "big", signed=True) for each in named]


@ft.lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return salted_hmac(SALT, "key", secret=secret, algorithm="sha256").digest()
