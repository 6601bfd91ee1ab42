"""Parameters of a request, in its query or its body; unknown ones are refused: a misspelt one would do nothing.

Requests may use phase 1's camelCase spellings; answers do only where a request asks for them.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from latentmas.blobs import DIGEST
from latentmas.protocol.errors import InvalidInput
from latentmas.rest.uploads import is_file

HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
CAMEL = "camel"
ARRAY: Any = {"type": "array", "items": {"type": "array", "items": {}}, "description": "number[][], or four deep."}


class StrictSerializer(serializers.Serializer[Any]):
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Refuse parameters that are not declared, in an object within another one too."""
        values: dict[str, Any] = super().to_internal_value(data)
        if unknown := sorted(set(data) - set(self.fields)):
            known = ", ".join(sorted(self.fields))
            raise serializers.ValidationError({unknown[0]: f"unknown parameter; known are {known}"})
        return values


class NothingInput(StrictSerializer):
    """No parameters at all."""


@extend_schema_field(ARRAY)
class ArrayField(serializers.Field[Any, Any, Any, Any]):
    """A nested list as it came: the engine checks numbers, rank and lengths, and names the field."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, list):
            raise serializers.ValidationError("not an array of numbers")
        return data


@extend_schema_field({"type": "string", "format": "byte"})
class Base64Field(serializers.Field[Any, Any, Any, Any]):
    def to_internal_value(self, data: Any) -> bytes:
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise serializers.ValidationError("not base64") from None


class DigestField(serializers.CharField):
    """`sha256:` and 64 hex digits, or the one `other` word that a parameter may have."""

    def __init__(self, *, other: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.other = other

    def to_internal_value(self, data: Any) -> str:
        digest: str = super().to_internal_value(data)
        if DIGEST.fullmatch(digest) is None and digest != self.other:
            raise serializers.ValidationError("not a digest; write sha256: and 64 hex digits")
        return digest


def read(values: Mapping[str, object], shape: type[StrictSerializer]) -> dict[str, Any]:
    """Return validated values; empty text counts as absent. Raises ValidationError."""
    # Compared by type first: an array given as a parameter has no single truth value.
    given = {key: value for key, value in values.items() if not (isinstance(value, str) and value == "")}
    return dict(_validator(shape).run_validation(given))


@cache
def _validator(shape: type[StrictSerializer]) -> StrictSerializer:
    """Return one serializer for all requests: making its fields takes longer than validating, which changes none."""
    return shape()


def read_query(
    request: Request, shape: type[StrictSerializer], *, aliases: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the validated query parameters but `keys`, which concerns the answer. Raises ValidationError."""
    given = request.query_params.dict()
    given.pop("keys", None)
    return read(snake_keys(given, aliases=aliases), shape)


def read_body(
    request: Request,
    *,
    json: type[StrictSerializer],
    file: type[StrictSerializer],
    aliases: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the parameters: from a JSON body, or from the query where the body is a file. Raises ValidationError."""
    if is_file(request):
        return read_query(request, file, aliases=aliases)
    read_query(request, NothingInput)
    return read(object_in(request, aliases=aliases), json)


def object_in(request: Request, *, aliases: Mapping[str, str] | None = None) -> dict[str, object]:
    """Return a JSON body's members under their snake_case names. Raises InvalidInput for any other JSON."""
    if not isinstance(request.data, dict):
        raise InvalidInput("the body is not a JSON object", field="body")
    return snake_keys(request.data, aliases=aliases)


def wants_camel(request: Request) -> bool:
    """Return whether the answer's keys are to be phase 1's. Raises InvalidInput for anything but `keys=camel`."""
    wanted = request.query_params.get("keys")
    if wanted not in (None, CAMEL):
        raise InvalidInput(f"keys is {wanted!r}; the only spelling beside the usual one is {CAMEL!r}", field="keys")
    return wanted == CAMEL


def snake_case(name: str) -> str:
    """Return `sourceModel` as `source_model`; snake_case names stay as they are."""
    return HUMP.sub("_", name).lower()


def snake_keys(values: Mapping[str, object], *, aliases: Mapping[str, str] | None = None) -> dict[str, object]:
    """Return the mapping with snake_case keys, older names replaced by those that `aliases` gives for them."""
    renamed = {snake_case(key): value for key, value in values.items()}
    return {(aliases or {}).get(key, key): value for key, value in renamed.items()}


def camel_case(name: str) -> str:
    """Return `source_model` as `sourceModel`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def camel_keys(value: object) -> object:
    """Return plain data with the keys of every object in it in camelCase."""
    if isinstance(value, Mapping):
        return {camel_case(key): camel_keys(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [camel_keys(item) for item in value]
    return value
