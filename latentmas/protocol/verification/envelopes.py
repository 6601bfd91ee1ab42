"""Read DSSE envelopes and the in-toto statements in them."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentmas.protocol.verification.errors import Reason, VerificationFailed
from latentmas.protocol.verification.signatures import is_signed

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
HEX_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
URL_SAFE = str.maketrans("-_", "+/")  # DSSE takes either alphabet


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said of one file: its SHA-256 as bare hex, the kind of the statement, and what it says."""

    sha256: str
    predicate_type: str
    predicate: Mapping[str, Any]


def open_envelope(envelope: object, keys: Mapping[str, bytes], *, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return the payload of a DSSE envelope that one of the keys (32-byte public keys by id) has signed.

    Raises VerificationFailed for an envelope of another type, or without a valid signature of a known key.
    """
    kind, payload, signatures = _parts(envelope, payload_type)
    message = f"DSSEv1 {len(kind.encode())} {kind} {len(payload)} ".encode() + payload
    # The key's id is a hint outside the signature and may be absent; then any key may be meant.
    attempts = [
        is_signed(message, signature, key)
        for keyid, signature in signatures
        for known, key in keys.items()
        if keyid in ("", known)
    ]
    if not attempts:
        named = ", ".join(str(keyid)[:80] for keyid, _ in signatures) or "none"
        raise VerificationFailed(Reason.KEY_UNKNOWN, f"no signature is by a known key; there is {named}")
    if not any(attempts):
        raise VerificationFailed(Reason.SIGNATURE_INVALID, "the signature does not fit the payload and its type")
    return payload


def unverified_payload(envelope: object, *, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return the payload of a DSSE envelope, whoever has signed it. Raises VerificationFailed for any other thing."""
    return _parts(envelope, payload_type)[1]


def read_statement(payload: bytes) -> Statement:
    """Return the in-toto statement of a payload, which must be about exactly one file. Raises VerificationFailed."""
    try:
        document = json.loads(payload)
        (subject,) = document["subject"]
        statement = Statement(subject["digest"]["sha256"], document["predicateType"], document["predicate"])
        right = document["_type"] == STATEMENT_TYPE and HEX_SHA256.fullmatch(statement.sha256) is not None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VerificationFailed(
            Reason.STATEMENT_MALFORMED, "the payload is no in-toto statement of one file"
        ) from error
    if not right or not isinstance(statement.predicate, dict):
        raise VerificationFailed(
            Reason.STATEMENT_MALFORMED, f"the payload is no {STATEMENT_TYPE} whose subject has a SHA-256 in bare hex"
        )
    return statement


def _parts(envelope: object, payload_type: str) -> tuple[str, bytes, list[tuple[str, bytes]]]:
    """Return type, payload and signatures by their keys' ids. Raises VerificationFailed."""
    try:
        kind, payload = envelope["payloadType"], _decoded(envelope["payload"])  # type: ignore[index]
        signatures = [(each.get("keyid", ""), _decoded(each["sig"])) for each in envelope["signatures"]]  # type: ignore[index]
        kind.encode()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise VerificationFailed(
            Reason.ENVELOPE_MALFORMED, "a DSSE envelope has payloadType, payload and signatures, both in base64"
        ) from error
    if kind != payload_type:
        raise VerificationFailed(Reason.PAYLOAD_TYPE_UNKNOWN, f"the payload is {kind[:100]!r}, not {payload_type!r}")
    return kind, payload, signatures


def _decoded(text: str) -> bytes:
    """Return base64 as bytes. Raises ValueError."""
    return base64.b64decode(text.translate(URL_SAFE), validate=True)
