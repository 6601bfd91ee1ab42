"""Event types: frozen dataclasses with a permanent name, a schema number and pure upcasters."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from datetime import datetime
from typing import Any, TypeVar, cast
from uuid import UUID

import msgspec

from latentmas import request_ids
from latentmas.events.errors import LogCorrupted
from latentmas.protocol.canonical import plain

T = TypeVar("T")
Payload = dict[str, Any]
Upcaster = Callable[[Payload], Payload]

NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+", re.ASCII)
MAX_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Metadata:
    """Who caused an event, and by which request or event; the request is the current one unless another is named.

    Actors are opaque: `user:7`, `command:load_registry`.
    """

    actor: str
    request_id: str | None = field(default_factory=request_ids.current)
    correlation_id: str | None = None
    causation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One event as projectors see it. The global position is absent on purpose: it is not known until the commit."""

    event_id: UUID
    stream: str
    version: int
    type: str
    schema: int
    data: Any
    metadata: Metadata
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Envelope):
    """One event as the log holds it."""

    position: int


@dataclass(slots=True)
class EventType:
    name: str
    schema: int
    cls: type
    upcasters: dict[int, Upcaster] = field(default_factory=dict)


_BY_NAME: dict[str, EventType] = {}
_BY_CLASS: dict[type, EventType] = {}


def event(name: str, *, schema: int = 1) -> Callable[[type[T]], type[T]]:
    """Register a frozen dataclass as the event type `name`, such as `listing.created`, at its newest schema."""

    def register(cls: type[T]) -> type[T]:
        if not NAME.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
            raise ValueError(f"{name!r} is not a name for an event type; write it like `listing.created`")
        if not is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise TypeError(f"{cls.__name__} is not a frozen dataclass")
        if name in _BY_NAME:
            raise ValueError(f"the event type {name!r} is registered twice")
        _BY_NAME[name] = _BY_CLASS[cls] = EventType(name, schema, cls)
        return cls

    return register


def upcaster(name: str, *, from_schema: int) -> Callable[[Upcaster], Upcaster]:
    """Register a pure function that turns a payload of `from_schema` into one of the next schema."""

    def register(function: Upcaster) -> Upcaster:
        upcasters = _BY_NAME[name].upcasters
        if from_schema in upcasters:
            raise ValueError(f"{name!r} has two upcasters from schema {from_schema}")
        upcasters[from_schema] = function
        return function

    return register


def event_types() -> Mapping[str, EventType]:
    """Return every registered event type by name."""
    return _BY_NAME


def event_type_of(data: object) -> EventType:
    return event_type_of_class(type(data))


def event_type_of_class(cls: type) -> EventType:
    try:
        return _BY_CLASS[cls]
    except KeyError:
        raise TypeError(f"{cls.__name__} is not an event type; decorate it with @event") from None


def encode(data: object) -> Payload:
    """Return the payload of an event as plain data without floats."""
    return cast(Payload, plain(data))


def fit(kind: EventType, payload: Payload) -> Any:
    """Return the typed event of a payload at the newest schema. Raises msgspec.ValidationError."""
    # Not strict: decimals are stored as strings and come back as the numbers the dataclass declares.
    return msgspec.convert(payload, kind.cls, strict=False)


def decode(name: str, schema: int, payload: Payload) -> Any:
    """Return the typed event of a stored payload, brought to the newest schema. Raises LogCorrupted."""
    try:
        kind = _BY_NAME[name]
    except KeyError:
        raise LogCorrupted(f"the log holds the unknown event type {name!r}") from None
    while schema < kind.schema:
        if schema not in kind.upcasters:
            raise LogCorrupted(f"{name!r} has no upcaster from schema {schema}")
        payload = kind.upcasters[schema](payload)
        schema += 1
    if schema > kind.schema:
        raise LogCorrupted(f"{name!r} was written with schema {schema}; this code knows {kind.schema}")
    try:
        return fit(kind, payload)
    except msgspec.ValidationError as error:
        raise LogCorrupted(f"the payload of a {name!r} event does not fit its type: {error}") from error
