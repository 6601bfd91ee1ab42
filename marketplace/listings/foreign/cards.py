"""Cards of other registries, checked against the certificates in them.

Nothing of a card is believed here: its figures become what the seller declares, and its certificate a reference that
says whether its signature was checked. What can be found out is whether a card was altered: then it says otherwise
than the certificate in it, or than the file that it is of.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from latentmas.blobs import DIGEST
from latentmas.protocol.card import Card, ForeignCertificate
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Interval
from latentmas.protocol.verification.envelopes import Statement, open_envelope, read_statement, unverified_payload
from latentmas.protocol.verification.errors import Reason, VerificationFailed
from latentmas.protocol.w_matrix import WMatrixDocument
from marketplace.agents.keys import key_bytes
from marketplace.listings.certificates.statement import PREDICATE_TYPE
from marketplace.listings.errors import CardAltered
from marketplace.texts.checks import check_text
from marketplace.uploads.errors import digest_mismatch

ENVELOPE_BYTES = 16 * 1024  # an event, which keeps it, has at most 32 KiB
LISTING_ID_CHARACTERS = 36
Keys = Mapping[str, bytes]  # public keys of a registry's certificates by id; none: signatures are not checked


@dataclass(frozen=True, slots=True)
class CheckedCard:
    """A card that does not contradict itself; `registry` is the host that a signed feed was read from."""

    card: Card
    certificate: ForeignCertificate | None
    registry: str | None = None


def keys_of(public_keys: Sequence[str]) -> Keys:
    """Return keys that are given as base64 by the ids that certificates name. Raises InvalidInput."""
    return {hashlib.sha256(key).hexdigest(): key for key in map(key_bytes, public_keys)}


def checked_card(document: object, *, keys: Keys, registry: str | None = None) -> CheckedCard:
    """Return a card of the published schema with its certificate, whose signature is checked where there are keys.

    Raises InvalidInput for what is no card, CardAltered where it contradicts its certificate, VerificationFailed for a
    certificate that is none, or that no given key has signed.
    """
    try:
        card = msgspec.convert(document, Card)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"this is no card: {error}",
            resolution="GET /api/feed/schema is the JSON Schema of cards; a version's /manifest is one.",
            field="card",
        ) from error
    if DIGEST.fullmatch(card.file.digest) is None:
        raise InvalidInput(f"{card.file.digest[:100]!r} is not a digest", field="card.file.digest")
    check_text(card.listing_id, "card.listing_id", LISTING_ID_CHARACTERS)
    return CheckedCard(card, _certificate(card, keys), registry)


def require_file(card: Card, *, digest: str, document: WMatrixDocument) -> None:
    """Raise DigestMismatch for a file that the card is not of, CardAltered where it says otherwise than the file."""
    if card.file.digest != digest:
        raise digest_mismatch(digest, announced=card.file.digest)
    pairs = {
        "space": (card.space, document.space),
        "method": (card.method, document.method),
        "standard": (card.standard, document.standard),
        "unified_dimension": (card.unified_dimension, document.unified_dimension),
    }
    for name, side in (("source", card.source), ("target", card.target)):
        pairs[f"{name}.weights"] = (side.weights, getattr(document, f"{name}_weights"))
        pairs[f"{name}.dimension"] = (side.dimension, getattr(document, f"{name}_dimension"))
        if side.geometry is not None and (geometry := getattr(document, f"{name}_geometry")) is not None:
            pairs[f"{name}.geometry"] = (side.geometry, geometry)
    for field, (said, due) in pairs.items():
        if said != due:
            raise CardAltered(f"the card's {field} is {said}; that of its file is {due}", field=f"card.{field}")


def _certificate(card: Card, keys: Keys) -> ForeignCertificate | None:
    if card.signed is None:
        return None
    envelope = msgspec.to_builtins(card.signed.envelope)
    if (size := len(msgspec.json.encode(envelope))) > ENVELOPE_BYTES:
        raise InvalidInput(f"the certificate has {size} bytes; at most {ENVELOPE_BYTES} are kept", field="card.signed")
    statement = read_statement(open_envelope(envelope, keys) if keys else unverified_payload(envelope))
    try:
        contradictions = list(_contradictions(card, statement))
        predicate = {name: statement.predicate[name] for name in ("tier", "grade", "issued_at", "expires_at")}
        key_id = next((each.keyid for each in card.signed.envelope.signatures), "")
        certificate = msgspec.convert(
            predicate | {"key_id": key_id, "checked": bool(keys), "envelope": envelope}, ForeignCertificate
        )
    except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        raise VerificationFailed(Reason.STATEMENT_MALFORMED, f"the statement is no {PREDICATE_TYPE}") from error
    if contradictions:
        field, said, due = contradictions[0]
        raise CardAltered(f"the card's {field} is {said}; its certificate says {due}", field=f"card.{field}")
    return certificate


def _contradictions(card: Card, statement: Statement) -> Iterator[tuple[str, Any, Any]]:
    """Yield field, what the card says and what its certificate says, where they differ. Decimals there are text."""
    predicate, certified = statement.predicate, card.certification
    if statement.predicate_type != PREDICATE_TYPE:
        raise ValueError(statement.predicate_type)
    said: dict[str, tuple[Any, Any]] = {
        "file.digest": (card.file.digest, f"sha256:{statement.sha256}"),
        "listing_id": (card.listing_id, predicate["listing_id"]),
        "version": (card.version, predicate["version"]),
        "source.model": (card.source.model, predicate["source"]["model"]),
        "source.weights": (card.source.weights, predicate["source"]["weights"]),
        "target.model": (card.target.model, predicate["target"]["model"]),
        "target.weights": (card.target.weights, predicate["target"]["weights"]),
        "quality.basis": (card.quality.basis, predicate["basis"]),
    }
    if certified is not None:
        said["certification.tier"] = (certified.tier, predicate["tier"])
        said["certification.grade"] = (certified.grade, predicate["grade"])
    if card.quality.retention is not None:
        certified_retention = msgspec.convert(predicate["retention"], Interval, strict=False)
        said["quality.retention.aligned"] = (card.quality.retention.aligned, certified_retention)
    yield from ((field, *both) for field, both in said.items() if both[0] != both[1])
