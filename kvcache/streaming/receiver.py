"""The receiving end of a stream: chunks are decoded as they come, the index says which tokens to drop."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from kvcache.compression.container import read_kvz, unpack
from kvcache.streaming.chunks import check_follows, join
from kvcache.streaming.wire import MAX_MESSAGE_BYTES, Message, StreamDigest, StreamIndex, parse_index, read_messages
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import MAX_BYTES, KVSnapshot, needed

if TYPE_CHECKING:
    from kvcache.coding.profile import OpenedProfile


class StreamingKVCacheDecompressor:
    """Takes a stream's messages in order; raises InvalidInput for one that is missing, repeated or out of order.

    Keys and values of more than `max_bytes`, decoded, raise TooLarge before they are decoded.
    """

    def __init__(self, *, profile: "OpenedProfile | None" = None, max_bytes: int = MAX_BYTES) -> None:
        self._profile = profile
        self._left = max_bytes  # of decoded keys and values
        self._digest = StreamDigest()
        self._pieces: list[KVSnapshot] = []
        self.index: StreamIndex | None = None

    def decompress_chunk(self, message: Message) -> KVSnapshot | None:
        """Return the chunk's tokens, decoded; None for the message that ends the stream."""
        if self.index is not None:
            raise InvalidInput(f"message {message.sequence} comes after the end of the stream", field="stream")
        if message.sequence != (expected := len(self._pieces)):
            what = "is missing" if message.sequence > expected else "was sent already, or comes out of order"
            number = expected if message.sequence > expected else message.sequence
            raise InvalidInput(
                f"message {message.sequence} came where {expected} was due: message {number} {what}", field="stream"
            )
        if message.kind == "end":
            self.index = self._checked(message.body)
            return None
        piece = self._decoded(message)
        self._pieces.append(piece)
        return piece

    def finish(self) -> KVSnapshot:
        """Return the whole cache without the evicted tokens and what no later token can see. Raises InvalidInput."""
        if self.index is None:
            raise InvalidInput(
                f"the stream breaks off after {len(self._pieces)} chunks: its index is missing", field="stream"
            )
        snapshot = join(self._pieces)
        positions = snapshot.frame.positions
        evicted = np.zeros(len(positions), bool)
        for start, stop in self.index.evicted:
            evicted |= (positions >= start) & (positions < stop)
        left = snapshot.select(np.flatnonzero(~evicted)) if evicted.any() else snapshot
        return needed(left)[0]

    def _decoded(self, message: Message) -> KVSnapshot:
        container = read_kvz(message.body, max_bytes=MAX_MESSAGE_BYTES, max_decoded_bytes=self._left)
        before = self._pieces[-1].frame if self._pieces else None
        position = int(container.frame.positions[0]) if before is None else before.next_position
        check_follows(container.frame, first=before, position=position, number=message.sequence)
        piece = unpack(container, profile=self._profile)
        self._left -= piece.keys.nbytes + piece.values.nbytes
        self._digest.add(message.body)
        return piece

    def _checked(self, body: bytes) -> StreamIndex:
        index = parse_index(body)
        first = int(self._pieces[0].frame.positions[0]) if self._pieces else index.first_position
        following = self._pieces[-1].frame.next_position if self._pieces else first
        came = (len(self._pieces), following - first, first, following, self._digest.text())
        said = (index.chunks, index.tokens, index.first_position, index.next_position, index.digest)
        names = ("chunks", "tokens", "first_position", "next_position", "digest")
        for name, here, there in zip(names, came, said, strict=True):
            if here != there:
                raise InvalidInput(f"the index says {name} is {there}; what came has {here}", field="stream")
        if not self._pieces:
            raise InvalidInput("the stream holds no chunk", field="stream")
        if sum(stop - start for start, stop in index.evicted) >= index.tokens:
            raise InvalidInput("the index evicts every token of the stream", field="evicted")
        return index


def decode_stream(
    pieces: Iterable[bytes], *, profile: "OpenedProfile | None" = None, max_bytes: int = MAX_BYTES
) -> KVSnapshot:
    """Return the cache in a stream, whose bytes come in pieces of any length. Raises InvalidInput or TooLarge."""
    receiver = StreamingKVCacheDecompressor(profile=profile, max_bytes=max_bytes)
    for message in read_messages(pieces):
        receiver.decompress_chunk(message)
    return receiver.finish()
