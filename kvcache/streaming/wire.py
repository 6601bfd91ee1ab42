"""The messages of a stream: a sequence of length-prefixed `.kvz` containers that ends with an index.

A header of 16 bytes: "KVZS", the kind (C chunk, E end), the version, two zero bytes, then the sequence number and the
body's length in bytes, both unsigned 32-bit little-endian. The body of the end is canonical JSON.
"""

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from latentmas.protocol.errors import InvalidInput, TooLarge
from latentmas.protocol.snapshot import MAX_POSITION

Kind = Literal["chunk", "end"]

HEADER = struct.Struct("<4scBHII")
MAGIC = b"KVZS"
VERSION = 1
KINDS: dict[bytes, Kind] = {b"C": "chunk", b"E": "end"}
CODES = {kind: code for code, kind in KINDS.items()}
MAX_MESSAGE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Message:
    kind: Kind
    sequence: int
    body: bytes

    def write(self) -> bytes:
        """Return header and body. Raises TooLarge."""
        if len(self.body) > MAX_MESSAGE_BYTES:
            raise TooLarge(f"the message has {len(self.body)} bytes; the limit is {MAX_MESSAGE_BYTES}")
        return HEADER.pack(MAGIC, CODES[self.kind], VERSION, 0, self.sequence, len(self.body)) + self.body


class MessageReader:
    """Parses messages from bytes that arrive in pieces of any length; holds at most one unfinished message."""

    def __init__(self, *, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that these bytes complete. Raises InvalidInput or TooLarge before a body is awaited."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            kind, sequence, length = _header(bytes(self._buffer[: HEADER.size]), self._max_bytes)
            end = HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER.size : end])
            del self._buffer[:end]
            yield Message(kind, sequence, body)

    def close(self) -> None:
        """Raise InvalidInput where the bytes end within a message."""
        if self._buffer:
            raise InvalidInput(f"the stream ends {len(self._buffer)} bytes into a message", field="stream")


def read_messages(pieces: Iterable[bytes], *, max_bytes: int = MAX_MESSAGE_BYTES) -> Iterator[Message]:
    """Yield the messages in pieces of bytes of any length, such as a chunked HTTP body's. Raises InvalidInput."""
    reader = MessageReader(max_bytes=max_bytes)
    for piece in pieces:
        yield from reader.feed(piece)
    reader.close()


def _header(data: bytes, max_bytes: int) -> tuple[Kind, int, int]:
    magic, code, version, zero, sequence, length = HEADER.unpack(data)
    if magic != MAGIC or code not in KINDS or zero:
        raise InvalidInput(
            f"a message begins with {data[:8]!r}; it must begin with {MAGIC!r} and C or E", field="stream"
        )
    if version != VERSION:
        raise InvalidInput(f"the stream has the version {version}; this reads {VERSION}", field="stream")
    if length > max_bytes:
        raise TooLarge(f"message {sequence} claims {length} bytes; the limit is {max_bytes}")
    return KINDS[code], sequence, length


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamIndex:
    """The body of a stream's last message. `digest` covers all chunks' bodies; `evicted` are ranges of positions."""

    version: int
    chunks: int
    tokens: int
    first_position: int
    next_position: int
    digest: str
    evicted: tuple[tuple[int, int], ...] = ()  # [start, stop)
    selection: dict[str, Any] | None = None


class StreamDigest:
    """SHA-256 over the SHA-256 of each chunk's body, so that neither end needs the whole stream in memory."""

    def __init__(self) -> None:
        self._running = hashlib.sha256()

    def add(self, body: bytes) -> None:
        self._running.update(hashlib.sha256(body).digest())

    def text(self) -> str:
        return f"sha256:{self._running.hexdigest()}"


def parse_index(body: bytes) -> StreamIndex:
    """Return the index in the body of an end message. Raises InvalidInput."""
    try:
        index = msgspec.convert(json.loads(body), StreamIndex, strict=True)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors, and so are those of JSON
        raise InvalidInput(f"the stream's index is malformed: {error}", field="stream") from error
    end = index.first_position
    for start, stop in index.evicted:
        if not end <= start < stop <= min(index.next_position, MAX_POSITION):
            raise InvalidInput(
                f"the index evicts the positions {start} to {stop}; ranges must be ascending and lie in "
                f"{index.first_position} to {index.next_position}",
                field="evicted",
            )
        end = stop
    return index
