"""Whom to believe about a log, and what a proof of inclusion shows offline."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from latentmas.protocol.verification.errors import Reason, VerificationFailed
from latentmas.protocol.verification.notes import COSIGNATURE, VerifierKey, read_note, read_tree_head, verified
from latentmas.protocol.verification.proofs import leaf_hash_of, verify_inclusion


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe: keys of certificates and receipts by id and keys of the log, those revoked apart; witnesses."""

    certificate_keys: Mapping[str, bytes]
    log_keys: Sequence[VerifierKey]
    revoked_ids: frozenset[str] = frozenset()
    revoked_log_keys: Sequence[VerifierKey] = ()
    witnesses: Sequence[VerifierKey] = ()
    witnesses_needed: int = 0
    receipt_keys: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of_document(cls, document: Any, *, witnesses: Sequence[str] = (), needed: int = 0) -> "Trust":
        """Return the trust in the keys that `/api/log/keys` names. Raises ValueError for any other document."""
        try:
            keys = list(document["keys"])
            revoked = [key for key in keys if key["state"] == "revoked"]
            good = [key for key in keys if key["state"] != "revoked"]
            return cls(
                _public_keys(good, purpose="certificate"),
                _log_keys(good),
                frozenset(key["key_id"] for key in revoked),
                _log_keys(revoked),
                [VerifierKey.parse(each) for each in witnesses],
                needed,
                _public_keys(good, purpose="receipt"),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("the keys are no answer of /api/log/keys") from error

    def require_no_revoked_key(self, envelope: object) -> None:
        """Raise VerificationFailed where an envelope names a key that was revoked."""
        if self.revoked_ids & set(_key_ids(envelope)):
            raise VerificationFailed(Reason.KEY_REVOKED, "it is signed by a key that was revoked")


@dataclass(frozen=True, slots=True)
class ProvedEvent:
    """An event of the log as its body has it."""

    position: int
    type: str
    stream: str
    payload: Mapping[str, Any]


def proved_event(proof: Any, *, trust: Trust, opened: Any = None) -> ProvedEvent:
    """Return the event that a proof is about, where its entry is that of the body and under a signed checkpoint.

    `proof` is the decoded answer of `/api/log/proof`. Salt and body of a private event are not in it: its parties get
    them elsewhere and give them as `opened`. Raises VerificationFailed.
    """
    try:
        index, size, note = proof["index"], proof["tree_size"], proof["checkpoint"]
        entry, hashes = base64.b64decode(proof["entry"]), [base64.b64decode(each) for each in proof["proof"]]
        salt, body = (base64.b64decode((opened or proof["event"])[name]) for name in ("salt", "body"))
        leaf, document = json.loads(entry), json.loads(body)
        event = ProvedEvent(int(index) + 1, document["type"], document["stream"], dict(document["payload"]))
        stream = event.stream.encode()
        commitment = (leaf["body"], leaf["type"], leaf["stream"], leaf["position"])
        note, index, size = str(note or ""), int(index), int(size)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VerificationFailed(
            Reason.PROOF_MALFORMED, "the proof is no answer of /api/log/proof about an event whose body is there"
        ) from error
    digests = hashlib.sha256(salt + body).hexdigest(), event.type, hashlib.sha256(stream).hexdigest(), event.position
    if commitment != digests:
        raise VerificationFailed(Reason.NOT_IN_LOG, "the entry in the log is not that of the event beside it")
    root = _root_of(note, size, trust)
    verify_inclusion(leaf_hash_of(entry), index=index, size=size, proof=hashes, root=root)
    return event


def _root_of(checkpoint: str, size: int, trust: Trust) -> bytes:
    """Return the root that a checkpoint of this size has, once its signatures have been verified."""
    note = read_note(checkpoint)
    head = read_tree_head(note.text)
    signers = verified(note, [*trust.log_keys, *trust.revoked_log_keys, *trust.witnesses])
    its_own = {key for key in signers if key.name == head.origin}
    if not its_own.intersection(trust.log_keys):
        revoked = bool(its_own.intersection(trust.revoked_log_keys))
        raise VerificationFailed(
            Reason.KEY_REVOKED if revoked else Reason.KEY_UNKNOWN,
            "the checkpoint is signed by a key that was revoked" if revoked else "no known key signed the checkpoint",
        )
    cosigned = sum(key in signers and key.kind == COSIGNATURE for key in set(trust.witnesses))
    if cosigned < trust.witnesses_needed:
        raise VerificationFailed(
            Reason.WITNESSES_MISSING, f"{cosigned} of the {trust.witnesses_needed} witnesses needed have cosigned"
        )
    if head.size != size:
        raise VerificationFailed(
            Reason.CHECKPOINT_DIFFERS, f"the proof is for {size} events, the checkpoint is of {head.size}"
        )
    return head.root


def _key_ids(envelope: object) -> list[str]:
    signatures = envelope.get("signatures") if isinstance(envelope, dict) else None
    named = [each.get("keyid") for each in signatures or [] if isinstance(each, dict)]
    return [each for each in named if isinstance(each, str)]


def _public_keys(keys: Sequence[Mapping[str, Any]], *, purpose: str) -> dict[str, bytes]:
    return {key["key_id"]: base64.b64decode(key["public_key"]) for key in keys if key["purpose"] == purpose}


def _log_keys(keys: Sequence[Mapping[str, Any]]) -> list[VerifierKey]:
    return [VerifierKey.parse(key["verifier_key"]) for key in keys if key["purpose"] == "log"]
