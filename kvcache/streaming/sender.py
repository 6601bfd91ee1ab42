"""The sending end of a stream: compress a cache chunk by chunk while a model makes it. Knows no Django."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from kvcache.adapters import ModelAdapter
from kvcache.compression.encoders import Encode
from kvcache.compression.metrics import MS_PER_SECOND, Metrics
from kvcache.compression.plan import Method, Target, Threshold, check_count, plan_for
from kvcache.compression.search import Chosen, CompressionJob, draft, selection_document, write
from kvcache.streaming.chunks import Chunk, check_follows, join, part
from kvcache.streaming.eviction import RunningAttention
from kvcache.streaming.wire import Message, StreamDigest, StreamIndex
from latentmas.protocol.canonical import canonical
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from kvcache.coding.profile import OpenedProfile

DEFAULT_CHUNK = 100  # tokens
MAX_CHUNK = 8192
VERSION = 1


class StreamingKVCacheCompressor:
    """Takes chunks of any size in order and gives messages of `chunk_size` tokens each; memory does not grow.

    The setting that a ratio needs is chosen on the first message and then kept; a KL bound is met by each message.
    With a threshold the stream ends with an index of the tokens to drop, since what was sent cannot be recalled.
    Methods and targets are those of `compress`; without a profile "auto" quantises, also beside a selection.
    """

    def __init__(
        self,
        adapter: ModelAdapter,
        chunk_size: int = DEFAULT_CHUNK,
        *,
        method: str = "auto",
        target: Target | None = None,
        profile: "OpenedProfile | None" = None,
        rope_applied: bool = True,
        first_position: int = 0,
    ) -> None:
        check_count("chunk_size", chunk_size)
        if chunk_size > MAX_CHUNK:
            raise InvalidInput(f"chunk_size is {chunk_size}; the limit is {MAX_CHUNK}", field="chunk_size")
        if method == "auto" and profile is None and isinstance(target, Threshold):
            method = "select+quantise"
        selects = isinstance(target, Threshold) or method.startswith("select")
        plan = plan_for(method, target, adapter=adapter, with_profile=profile is not None, with_queries=selects)
        self._adapter, self._profile, self._chunk_size = adapter, profile, chunk_size
        self._selection = plan.selection
        # Each message keeps all of its tokens: which of them are worth keeping is known only at the end.
        self._plan = replace(plan, selection=None, may_drop=False, of_stream=True)
        self._attention = (
            None if plan.selection is None else RunningAttention(adapter, plan.selection, rope_applied=rope_applied)
        )
        self._first: SnapshotFrame | None = None
        self._first_position = self._position = first_position
        self._waiting: KVSnapshot | None = None  # fewer tokens than a message takes
        self._given = self._sent = 0
        self._encode: Encode | None = None
        self._digest = StreamDigest()
        self._original_bytes = self._compressed_bytes = 0
        self._seconds = 0.0
        self._dropped: tuple[int, float] | None = None  # tokens, coverage
        self._ended = False

    def stream(self, chunks: Iterable[KVSnapshot | Chunk]) -> Iterator[bytes]:
        """Yield the messages of a whole stream, each as soon as it is full."""
        for chunk in chunks:
            queried = chunk if isinstance(chunk, Chunk) else Chunk(chunk)
            yield from self.compress_chunk(
                queried.snapshot, queries=queried.queries, query_positions=queried.query_positions
            )
        yield from self.finish()

    def compress_chunk(
        self, chunk: KVSnapshot, *, queries: Array | None = None, query_positions: Array | None = None
    ) -> list[bytes]:
        """Return the messages that the chunk fills, often none. Raises InvalidInput or DimensionMismatch.

        The chunk must begin where the last one ended. One that is refused changes nothing.
        """
        started = time.perf_counter()
        self._check(chunk.frame)
        if self._attention is not None:
            self._attention.add(Chunk(chunk, queries, query_positions))
        self._first = self._first or chunk.frame
        self._position = chunk.frame.next_position
        self._given += 1
        waiting = chunk if self._waiting is None else join([self._waiting, chunk])
        full = waiting.frame.tokens - waiting.frame.tokens % self._chunk_size
        messages = [
            self._send(part(waiting, start, start + self._chunk_size)) for start in range(0, full, self._chunk_size)
        ]
        self._waiting = part(waiting, full, waiting.frame.tokens) if full < waiting.frame.tokens else None
        self._seconds += time.perf_counter() - started
        return messages

    def finish(self) -> list[bytes]:
        """Return the last messages: the tokens still waiting, then the index. Raises InvalidInput when empty."""
        started = time.perf_counter()
        if self._ended or self._first is None:
            what = "was ended already" if self._ended else "holds no chunk"
            raise InvalidInput(f"the stream {what}", field="stream")
        messages = [] if self._waiting is None else [self._send(self._waiting)]
        messages.append(Message("end", self._sent, canonical(msgspec.to_builtins(self._index()))).write())
        self._compressed_bytes += len(messages[-1])
        self._ended = True
        self._seconds += time.perf_counter() - started
        return messages

    @property
    def method(self) -> Method:
        """The method applied to the stream; never "auto"."""
        return self._plan.method

    @property
    def metrics(self) -> Metrics:
        """The figures so far; bytes include the messages' headers. Raises InvalidInput before the first message."""
        if not self._compressed_bytes:
            raise InvalidInput("the stream has sent nothing yet", field="stream")
        dropped, coverage = (0, None) if self._dropped is None else self._dropped
        return Metrics(
            compression_time_ms=MS_PER_SECOND * self._seconds,
            original_bytes=self._original_bytes,
            compressed_bytes=self._compressed_bytes,
            token_savings=dropped,
            cumulative_attention=coverage,
            profile_bytes=self._profile.size if self._profile and self._plan.coding == "transform" else None,
        )

    def _check(self, frame: SnapshotFrame) -> None:
        if self._ended:
            raise InvalidInput("the stream was ended already", field="stream")
        self._adapter.accept(frame)
        check_follows(frame, first=self._first, position=self._position, number=self._given)
        if self._profile is not None:
            self._profile.accept(frame)

    def _send(self, piece: KVSnapshot) -> bytes:
        """Return the message that holds the piece's tokens."""
        job = CompressionJob(snapshot=piece, plan=self._plan, adapter=self._adapter, profile=self._profile, choose=None)
        if self._encode is None or self._plan.kl is not None:  # a bound is held message by message
            made = draft(job)
            self._encode = made.encode
        else:
            made = write(job, Chosen(piece), self._encode)
        message = Message("chunk", self._sent, made.data).write()
        self._digest.add(made.data)
        self._sent += 1
        self._original_bytes += piece.frame.raw_bytes
        self._compressed_bytes += len(message)
        return message

    def _index(self) -> StreamIndex:
        tokens = self._position - self._first_position
        evicted: tuple[tuple[int, int], ...] = ()
        selection = None
        if self._attention is not None and self._selection is not None:
            kept, coverage = self._attention.finish()
            evicted = _gaps(kept, self._first_position, self._position)
            selection = selection_document(coverage, self._selection.coverage, tokens)
            self._dropped = (tokens - len(kept), coverage)
        return StreamIndex(
            version=VERSION,
            chunks=self._sent,
            tokens=tokens,
            first_position=self._first_position,
            next_position=self._position,
            digest=self._digest.text(),
            evicted=evicted,
            selection=selection,
        )


def _gaps(kept: Array, start: int, stop: int) -> tuple[tuple[int, int], ...]:
    """Return the ranges of positions in `start` to `stop` that are not among the ascending ones kept."""
    edges = np.concatenate([[start - 1], kept, [stop]])
    return tuple((int(left) + 1, int(right)) for left, right in pairwise(edges) if right > left + 1)
