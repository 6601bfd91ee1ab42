"""Canonical JSON: one byte string for one value, on every machine.

Object keys are sorted, there is no white space, text is UTF-8. Floats are refused: money is an integer and every
other decimal a string, because engines and languages print floating-point numbers differently.
"""

import json
import math
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum

from latentmas.protocol.errors import InvalidInput


def canonical(value: object) -> bytes:
    """Return the canonical JSON encoding of plain data. Raises InvalidInput for what has no canonical form."""
    _check(value, "$")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain(value: object) -> object:
    """Return `value` as plain data for `canonical`.

    Dataclasses become objects, floats their shortest decimal string, moments ISO 8601 in UTC, enum members their value.
    Raises InvalidInput for a float that is not finite and for a moment without a time zone.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(f"{value} is not a finite number")
        return repr(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidInput(f"the moment {value.isoformat()} has no time zone")
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _check(value: object, path: str) -> None:
    match value:
        case None | bool() | int():
            return
        case str():
            _check_text(value, path)
        case list() | tuple():
            for index, item in enumerate(value):
                _check(item, f"{path}[{index}]")
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise InvalidInput(f"the key {key!r} at {path} is not text")
                _check_text(key, path)
                _check(item, f"{path}.{key}")
        case _:
            raise InvalidInput(f"{type(value).__name__} at {path} has no canonical JSON form; use text or an integer")


def _check_text(text: str, path: str) -> None:
    if "\x00" in text:
        raise InvalidInput(f"the text at {path} holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the text at {path} is not valid Unicode: {error.reason}") from error
