"""Verify offline that a W-Matrix file is the one that was certified, and that the certificate stands in the log.

    python -m awareness_sdk.verify FILE --certificate certificate.json --proof proof.json --keys keys.json

`certificate.json` is the answer of a version's `/certificate`, `proof.json` that of `/api/log/proof` for the position
in it, and `keys.json` that of `/api/log/keys`: whoever keeps its own copy of it need not trust the server.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from awareness_sdk.log_proofs import Trust as Trust
from awareness_sdk.log_proofs import proved_event
from latentmas.protocol.verification.envelopes import Statement, open_envelope, read_statement
from latentmas.protocol.verification.errors import Reason, VerificationFailed

PREDICATE_TYPE = "https://latentmas.org/w-matrix-certificate/v1"
EVENT_TYPE = "certificate.signed"
READ_BYTES = 1 << 20


def verify(file: Path, *, certificate: Any, proof: Any, trust: Trust, at: datetime | None = None) -> Statement:
    """Return what the certificate says of the file, where everything holds together at a time, now by default.

    `certificate` and `proof` are the decoded JSON answers. Raises VerificationFailed, whose `reason` names the step.
    """
    envelope = _envelope_of(certificate)
    trust.require_no_revoked_key(envelope)
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
    """Check that the event which the proof is about records exactly this envelope."""
    event = proved_event(proof, trust=trust)
    if event.type != EVENT_TYPE or event.payload.get("envelope") != envelope:
        raise VerificationFailed(Reason.NOT_IN_LOG, "the proof is about an event that records another envelope")


def _envelope_of(certificate: Any) -> Any:
    """Return the envelope itself, which may come alone or in a certificate's answer."""
    if isinstance(certificate, dict) and "payloadType" not in certificate:
        signature = certificate.get("signature")
        return signature.get("envelope") if isinstance(signature, dict) else None
    return certificate


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
