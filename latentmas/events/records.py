"""Convert events to rows and back. The body, canonical JSON of everything but the position, is authoritative."""

import hashlib
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from latentmas.events.errors import EventTooLarge, LogCorrupted
from latentmas.events.types import Envelope, Metadata, Payload, Recorded, decode, encode, event_type_of, fit
from latentmas.protocol import merkle
from latentmas.protocol.canonical import canonical
from latentmas.protocol.errors import InvalidInput

MAX_BODY_BYTES = 32 * 1024
SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event ready to be written: what projectors see, its columns and its body."""

    envelope: Envelope
    document: Payload
    body: bytes


def prepare(
    data: object, *, stream: str, version: int, event_id: UUID, metadata: Metadata, recorded_at: datetime
) -> Prepared:
    """Return the event as it will be read again, so that live projections and rebuilt ones see the same values.

    Raises InvalidInput and EventTooLarge.
    """
    kind = event_type_of(data)
    document = {
        "event_id": str(event_id),
        "stream": stream,
        "version": version,
        "type": kind.name,
        "schema": kind.schema,
        "payload": encode(data),
        "metadata": asdict(metadata),
        "recorded_at": recorded_at.astimezone(UTC).isoformat(timespec="microseconds"),
    }
    body = canonical(document)
    if len(body) > MAX_BODY_BYTES:
        raise EventTooLarge(f"a {kind.name!r} event has {len(body)} bytes; the limit is {MAX_BODY_BYTES}")
    try:
        as_read = fit(kind, document["payload"])  # type: ignore[arg-type]
    except msgspec.ValidationError as error:
        raise InvalidInput(f"a {kind.name!r} event does not fit its own type: {error}") from error
    envelope = Envelope(
        event_id=event_id,
        stream=stream,
        version=version,
        type=kind.name,
        schema=kind.schema,
        data=as_read,
        metadata=metadata,
        recorded_at=recorded_at,
    )
    return Prepared(envelope, document, body)


def columns(prepared: Prepared, position: int) -> tuple[object, ...]:
    """Return the values of `Event`'s columns, in their order, for an event that has been given its position."""
    envelope, document, salt = prepared.envelope, prepared.document, secrets.token_bytes(SALT_BYTES)
    return (
        position,
        envelope.event_id,
        envelope.stream,
        envelope.version,
        envelope.type,
        envelope.schema,
        document["payload"],
        document["metadata"],
        envelope.recorded_at,
        prepared.body,
        salt,
        leaf_hash(position, envelope.type, envelope.stream, salt, prepared.body),
    )


def written(prepared: Prepared, position: int) -> Recorded:
    """Return the event as a reader will get it."""
    envelope = prepared.envelope
    return Recorded(
        position=position,
        event_id=envelope.event_id,
        stream=envelope.stream,
        version=envelope.version,
        type=envelope.type,
        schema=envelope.schema,
        data=envelope.data,
        metadata=envelope.metadata,
        recorded_at=envelope.recorded_at,
    )


def recorded(position: int, body: bytes) -> Recorded:
    """Return the event that a stored body holds. Raises LogCorrupted."""
    try:
        document: Payload = msgspec.json.decode(body)
        return Recorded(
            position=position,
            event_id=UUID(document["event_id"]),
            stream=document["stream"],
            version=document["version"],
            type=document["type"],
            schema=document["schema"],
            data=decode(document["type"], document["schema"], document["payload"]),
            metadata=msgspec.convert(document["metadata"], Metadata),
            recorded_at=datetime.fromisoformat(document["recorded_at"]),
        )
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise LogCorrupted(f"the body of the event at position {position} cannot be read: {error}") from error


def leaf_hash(position: int, type_: str, stream: str, salt: bytes, body: bytes) -> bytes:
    """Return the Merkle leaf hash of an event (RFC 6962 section 2.1)."""
    return merkle.leaf_hash(leaf_entry(position, type_, stream, salt, body))


def leaf_entry(position: int, type_: str, stream: str, salt: bytes, body: bytes) -> bytes:
    """Return what the tree holds of an event: public without its body, to which it commits by a salted digest."""
    leaf = {
        "position": position,
        "type": type_,
        "stream": hashlib.sha256(stream.encode()).hexdigest(),
        "body": hashlib.sha256(salt + body).hexdigest(),
    }
    return canonical(leaf)
