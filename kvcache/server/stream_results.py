"""End a stream: compress its chunks, as one file or as the messages of a stream."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from kvcache.compression.metrics import Metrics
from kvcache.compression.plan import target_of
from kvcache.server import operations, queries, recording
from kvcache.server.models import Operation, StreamSession
from kvcache.server.operations import Compression
from kvcache.server.payloads import Given
from kvcache.server.recording import Clock, clocked
from kvcache.server.streams import read_chunk
from kvcache.streaming.chunks import Chunk, join
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array


@dataclass(frozen=True, slots=True)
class FinishedStream:
    """A stream's messages in a temporary file, which is deleted when it is closed."""

    file: IO[bytes]
    metrics: Metrics
    clock: Clock


def finish_as_file(stream: StreamSession) -> Compression:
    """Return all chunks compressed as one snapshot. Raises as `operations.compress` does."""
    chunks = [read_chunk(stream, number) for number in range(_chunks(stream))]
    given = Given(join([each.snapshot for each in chunks]), *_queries(chunks))
    adapter = queries.get_adapter(stream.model)
    return operations.compress(given, adapter=adapter, options=stream.settings, operation=Operation.STREAM)


def finish_as_messages(stream: StreamSession) -> FinishedStream:
    """Return the chunks compressed one by one, in constant memory."""
    from kvcache.streaming.sender import StreamingKVCacheCompressor

    count, options = _chunks(stream), stream.settings
    first = read_chunk(stream, 0).snapshot.frame
    adapter = queries.get_adapter(stream.model)
    row = operations.profile_named(options, first)
    sized = {"chunk_size": options["chunk_size"]} if "chunk_size" in options else {}
    compressor = StreamingKVCacheCompressor(
        adapter,
        method=options["method"],
        target=target_of(options, adapter),
        profile=None if row is None else queries.open_profile(row),
        rope_applied=options["rope"] == "applied",
        first_position=int(first.positions[0]),
        **sized,
    )
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
    with clocked() as clock:
        for message in compressor.stream(_each(stream, count)):
            file.write(message)
    metrics = compressor.metrics
    recording.record(
        Operation.STREAM,
        clock=clock,
        model=adapter.model,
        method=compressor.method,
        width=first.geometry.width,
        tokens=stream.tokens,
        tokens_kept=stream.tokens - metrics.token_savings,
        **recording.columns_of(metrics, operations.needed(row, metrics)),
    )
    file.seek(0)
    return FinishedStream(file, metrics, clock)


def _chunks(stream: StreamSession) -> int:
    if not stream.next_chunk:
        raise InvalidInput("the stream holds no chunk", field="stream")
    return stream.next_chunk


def _each(stream: StreamSession, count: int) -> Iterator[Chunk]:
    for number in range(count):
        given = read_chunk(stream, number)
        yield Chunk(given.snapshot, given.queries, given.query_positions)


def _queries(chunks: list[Given]) -> tuple[Array | None, Array | None]:
    """Return the queries of all chunks and their positions, by default those of a chunk's last tokens.

    Raises InvalidInput where their shapes do not fit together.
    """
    queried = [each for each in chunks if each.queries is not None]
    if not queried:
        return None, None
    if len({(each.queries.shape[0], *each.queries.shape[2:]) for each in queried if each.queries is not None}) > 1:
        raise InvalidInput("the chunks' queries differ in layers, heads or width", field="queries")
    found, positions = [], []
    for each in queried:
        assert each.queries is not None
        count = each.queries.shape[1]
        last = each.snapshot.frame.next_position - count + np.arange(count)
        found.append(each.queries)
        positions.append(np.maximum(last, 0) if each.query_positions is None else each.query_positions)
    return np.concatenate(found, axis=1), np.concatenate(positions).astype(np.int32)
