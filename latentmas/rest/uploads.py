"""Request bodies: JSON of bounded nesting depth, and files that the view reads from the stream itself."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import FileUploadParser, JSONParser
from rest_framework.request import Request

from latentmas.protocol.errors import InvalidInput, TooLarge
from latentmas.rest.middleware import FILE_TYPES

CHUNK_BYTES = 1 << 20


class SafetensorsParser(FileUploadParser):
    """Declares the media type; the view reads the stream itself, so that the file is in memory only once."""

    media_type = "application/vnd.safetensors"


class BytesParser(SafetensorsParser):
    media_type = "application/octet-stream"


class TextParser(BytesParser):
    """Declares the media type; the view reads the text by `read_text`."""

    media_type = "text/plain"


class BoundedJSONParser(JSONParser):
    """Refuses JSON nested beyond the interpreter's recursion limit as malformed (400) instead of failing (500)."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("the JSON is nested too deeply") from error


def is_file(request: Request) -> bool:
    """Return whether the body is declared to be a file."""
    return (request.content_type or "").split(";")[0].strip().lower() in FILE_TYPES


def read_file(request: Request, *, limit: int) -> bytes:
    """Return the body. Raises TooLarge by the declared length, before anything is read, and InvalidInput if empty."""
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if length > limit:
        raise TooLarge(f"the body has {length} bytes; the limit is {limit}", limit=limit, size=length)
    data = bytearray()
    # Not request.body: that is held to the limit for JSON.
    while chunk := request._request.read(min(CHUNK_BYTES, limit + 1 - len(data))):
        data += chunk
        if len(data) > limit:
            raise TooLarge(f"the body has more than {limit} bytes, the limit", limit=limit)
    if not data:
        raise InvalidInput("the body is empty; send a safetensors file", field="body")
    return bytes(data)


def read_text(request: Request) -> str:
    """Return a body of text; the middleware has checked its length. Raises UnsupportedMediaType or ParseError."""
    if (request.content_type or "").split(";")[0].strip().lower() != TextParser.media_type:
        raise UnsupportedMediaType(request.content_type or "")
    try:
        return request._request.body.decode()
    except UnicodeDecodeError as error:
        raise ParseError("the text is not UTF-8") from error
