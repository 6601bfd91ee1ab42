"""Verify offline that a W-Matrix file is the one that was certified, and that the certificate stands in the log.

    python -m awareness_sdk.verify FILE --certificate certificate.json --proof proof.json --keys keys.json

`certificate.json` is the answer of a version's `/certificate`, `proof.json` that of `/api/log/proof` for the position
in it, and `keys.json` that of `/api/log/keys`: whoever keeps its own copy of it need not trust the server.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from latentmas.protocol.verification.envelopes import Statement, open_envelope, read_statement
from latentmas.protocol.verification.errors import Reason, VerificationFailed
from latentmas.protocol.verification.notes import COSIGNATURE, VerifierKey, read_note, read_tree_head, verified
from latentmas.protocol.verification.proofs import leaf_hash_of, verify_inclusion

PREDICATE_TYPE = "https://latentmas.org/w-matrix-certificate/v1"
EVENT_TYPE = "certificate.signed"
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe: keys of certificates by id and keys of the log, those revoked apart; witnesses, and how many."""

    certificate_keys: Mapping[str, bytes]
    log_keys: Sequence[VerifierKey]
    revoked_ids: frozenset[str] = frozenset()
    revoked_log_keys: Sequence[VerifierKey] = ()
    witnesses: Sequence[VerifierKey] = ()
    witnesses_needed: int = 0

    @classmethod
    def of_document(cls, document: Any, *, witnesses: Sequence[str] = (), needed: int = 0) -> "Trust":
        """Return the trust in the keys that `/api/log/keys` names. Raises ValueError for any other document."""
        try:
            keys = list(document["keys"])
            revoked = [key for key in keys if key["state"] == "revoked"]
            good = [key for key in keys if key["state"] != "revoked"]
            return cls(
                {key["key_id"]: base64.b64decode(key["public_key"]) for key in good if key["purpose"] == "certificate"},
                _log_keys(good),
                frozenset(key["key_id"] for key in revoked),
                _log_keys(revoked),
                [VerifierKey.parse(each) for each in witnesses],
                needed,
            )
        except (KeyError, TypeError) as error:
            raise ValueError("the keys are no answer of /api/log/keys") from error


def verify(file: Path, *, certificate: Any, proof: Any, trust: Trust, at: datetime | None = None) -> Statement:
    """Return what the certificate says of the file, where everything holds together at a time, now by default.

    `certificate` and `proof` are the decoded JSON answers. Raises VerificationFailed, whose `reason` names the step.
    """
    envelope = _envelope_of(certificate)
    if trust.revoked_ids & set(_key_ids(envelope)):
        raise VerificationFailed(Reason.KEY_REVOKED, "the certificate is signed by a key that was revoked")
    statement = read_statement(open_envelope(envelope, trust.certificate_keys))
    if statement.predicate_type != PREDICATE_TYPE:
        raise VerificationFailed(
            Reason.STATEMENT_MALFORMED, f"the statement is a {statement.predicate_type!r}, not a {PREDICATE_TYPE!r}"
        )
    _require_file(file, statement)
    _require_valid(statement, at=at or datetime.now(UTC))
    _require_in_log(envelope, proof, trust)
    return statement


def _require_file(file: Path, statement: Statement) -> None:
    sha256 = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(READ_BYTES):
            sha256.update(piece)
    if sha256.hexdigest() != statement.sha256:
        raise VerificationFailed(
            Reason.FILE_DIFFERS, f"the file's SHA-256 is {sha256.hexdigest()}; {statement.sha256} is certified"
        )


def _require_valid(statement: Statement, *, at: datetime) -> None:
    try:
        begins, ends = (datetime.fromisoformat(statement.predicate[name]) for name in ("issued_at", "expires_at"))
        valid = begins <= at < ends
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationFailed(Reason.STATEMENT_MALFORMED, "the statement says not when it is valid") from error
    if not valid:
        raise VerificationFailed(
            Reason.NOT_VALID_NOW, f"the certificate is valid from {begins} until {ends}, not at {at}"
        )


def _require_in_log(envelope: object, proof: Any, trust: Trust) -> None:
    """Check that the event which the proof is about records exactly this envelope, and is under a signed checkpoint."""
    try:
        index, size, note = proof["index"], proof["tree_size"], proof["checkpoint"]
        entry, hashes = base64.b64decode(proof["entry"]), [base64.b64decode(each) for each in proof["proof"]]
        salt, body = (base64.b64decode(proof["event"][name]) for name in ("salt", "body"))
        leaf, event = json.loads(entry), json.loads(body)
        recorded, kind, stream = event["payload"]["envelope"], event["type"], event["stream"].encode()
        commitment = (leaf["body"], leaf["type"], leaf["stream"], leaf["position"])
        note, index, size = str(note or ""), int(index), int(size)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VerificationFailed(
            Reason.PROOF_MALFORMED, "the proof is no answer of /api/log/proof about a signed certificate"
        ) from error
    if kind != EVENT_TYPE or recorded != envelope:
        raise VerificationFailed(Reason.NOT_IN_LOG, "the proof is about an event that records another envelope")
    digests = hashlib.sha256(salt + body).hexdigest(), kind, hashlib.sha256(stream).hexdigest(), index + 1
    if commitment != digests:
        raise VerificationFailed(Reason.NOT_IN_LOG, "the entry in the log is not that of the event beside it")
    root = _root_of(note, size, trust)
    verify_inclusion(leaf_hash_of(entry), index=index, size=size, proof=hashes, root=root)


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


def _envelope_of(certificate: Any) -> Any:
    """Return the envelope itself, which may come alone or in a certificate's answer."""
    if isinstance(certificate, dict) and "payloadType" not in certificate:
        signature = certificate.get("signature")
        return signature.get("envelope") if isinstance(signature, dict) else None
    return certificate


def _key_ids(envelope: Any) -> list[str]:
    signatures = envelope.get("signatures") if isinstance(envelope, dict) else None
    named = [each.get("keyid") for each in signatures or [] if isinstance(each, dict)]
    return [each for each in named if isinstance(each, str)]


def _log_keys(keys: Sequence[Mapping[str, Any]]) -> list[VerifierKey]:
    return [VerifierKey.parse(key["verifier_key"]) for key in keys if key["purpose"] == "log"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print yes, or the reason why not; return 0 or 1."""
    parser = argparse.ArgumentParser(prog="python -m awareness_sdk.verify", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--certificate", type=Path, required=True, help="answer of a version's /certificate")
    parser.add_argument("--proof", type=Path, required=True, help="answer of /api/log/proof")
    parser.add_argument("--keys", type=Path, required=True, help="your copy of the answer of /api/log/keys")
    parser.add_argument("--witness", action="append", default=[], metavar="NAME+ID+KEY", help="may be repeated")
    parser.add_argument("--witnesses-needed", type=int, default=0)
    parser.add_argument("--at", type=datetime.fromisoformat, help="a moment with its time zone, instead of now")
    given = parser.parse_args(arguments)
    if given.at is not None and given.at.tzinfo is None:
        parser.error("--at needs a time zone, such as 2027-01-31T00:00:00+00:00")
    try:
        certificate, proof, keys = (
            json.loads(each.read_text()) for each in (given.certificate, given.proof, given.keys)
        )
        trust = Trust.of_document(keys, witnesses=given.witness, needed=given.witnesses_needed)
        statement = verify(given.file, certificate=certificate, proof=proof, trust=trust, at=given.at)
    except VerificationFailed as failure:
        print(f"no: {failure.reason.value}: {failure.message}")
        return 1
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f"yes: {json.dumps(statement.predicate, ensure_ascii=False, sort_keys=True)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
