"""Verify Merkle proofs, by the algorithms of RFC 9162 sections 2.1.3.2 and 2.1.4.2."""

import hashlib
from collections.abc import Sequence

from latentmas.protocol.verification.errors import Reason, VerificationFailed

HASH_BYTES = 32


def leaf_hash_of(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def verify_inclusion(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Return if a tree of `size` leaves with this root has the leaf hash at `index`. Raises VerificationFailed."""
    _require_hashes([leaf, root, *proof])
    if not 0 <= index < size:
        raise VerificationFailed(Reason.PROOF_INVALID, f"a tree of {size} leaves has none at {index}")
    at, last, computed = index, size - 1, leaf
    for each in proof:
        if last == 0:
            raise _wrong_length(proof)
        if at & 1 or at == last:
            computed = _inner(each, computed)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            computed = _inner(computed, each)
        at, last = at >> 1, last >> 1
    if last:
        raise _wrong_length(proof)
    _require_root(computed, root, f"the leaf at {index} is not in the tree of {size} leaves with this root")


def verify_consistency(*, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Return if the first `old` leaves of the new tree are exactly the old one. Raises VerificationFailed."""
    _require_hashes(proof)
    if not 0 <= old <= new:
        raise VerificationFailed(Reason.PROOF_INVALID, f"a tree does not shrink from {old} to {new} leaves")
    if old in (0, new):
        if proof:
            raise _wrong_length(proof)
        expected = hashlib.sha256(b"").digest() if old == 0 else new_root
        _require_root(expected, old_root, f"two roots of {old} leaves differ")
        return
    # A power of two is a node of the new tree by itself; its root is then left out of the proof.
    hashes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not hashes or not proof:
        raise _wrong_length(proof)
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = hashes[0]
    for each in hashes[1:]:
        if last == 0:
            raise _wrong_length(proof)
        if at & 1 or at == last:
            before, after = _inner(each, before), _inner(each, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = _inner(after, each)
        at, last = at >> 1, last >> 1
    if last:
        raise _wrong_length(proof)
    _require_root(before, old_root, f"the tree of {old} leaves is another than the one that this tree grew from")
    _require_root(after, new_root, f"the proof does not lead to the root of the tree of {new} leaves")


def _inner(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _require_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise VerificationFailed(Reason.PROOF_MALFORMED, f"every hash of a proof has {HASH_BYTES} bytes")


def _require_root(computed: bytes, root: bytes, otherwise: str) -> None:
    if computed != root:
        raise VerificationFailed(Reason.PROOF_INVALID, otherwise)


def _wrong_length(proof: Sequence[bytes]) -> VerificationFailed:
    return VerificationFailed(Reason.PROOF_INVALID, f"a proof for these sizes does not have {len(proof)} hashes")
