"""Streams over HTTP: chunks are kept as files until the stream is finished, so that any worker process can continue it.

Sessions are bounded in number, size and time. Each chunk is checked as it arrives; all of them are compressed at the
end, one after the other.
"""

import secrets
import shutil
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from kvcache.compression.plan import target_of
from kvcache.server import payloads, queries
from kvcache.server.models import StreamSession
from kvcache.server.payloads import Given
from kvcache.streaming.chunks import check_follows
from latentmas.protocol.errors import Conflict, NotFound, TooLarge
from latentmas.protocol.snapshot import SnapshotFrame

ID_BYTES = 16


def open_stream(owner: str, *, model: str, options: Mapping[str, Any]) -> StreamSession:
    """Begin a stream. Raises ModelNotSupported, InvalidInput, or Conflict where the owner has too many open ones."""
    adapter = queries.get_adapter(model)
    target_of(options, adapter)
    now = timezone.now()
    remove_expired()
    if StreamSession.objects.filter(owner=owner).count() >= settings.KV_CACHE_STREAMS:
        raise Conflict(
            f"you have {settings.KV_CACHE_STREAMS} open streams, the limit",
            resolution="Finish one, or wait until one expires.",
        )
    return StreamSession.objects.create(
        id=secrets.token_hex(ID_BYTES),
        owner=owner,
        model=adapter.model,
        settings=dict(options),
        created_at=now,
        expires_at=now + timedelta(seconds=settings.KV_CACHE_STREAM_SECONDS),
    )


def get_stream(owner: str, identifier: str) -> StreamSession:
    """Return an open stream of this owner. Raises NotFound, also for an expired one."""
    rows = StreamSession.objects.filter(owner=owner, expires_at__gt=timezone.now())
    row = rows.filter(id=identifier).first() if identifier.isalnum() else None
    if row is None:
        raise NotFound(
            f"you have no open stream {identifier!r}; it may have expired or been finished",
            resolution="Begin another with POST /api/kv-cache/streams.",
        )
    return row


def require_next(stream: StreamSession, number: int) -> None:
    """Raise Conflict for a chunk that was put already or comes before its turn."""
    if number == stream.next_chunk:
        return
    reason = "was put already" if number < stream.next_chunk else f"comes before chunk {stream.next_chunk} was put"
    raise Conflict(
        f"chunk {number} {reason}; the next chunk of this stream is {stream.next_chunk}",
        resolution=f"PUT /api/kv-cache/streams/{stream.id}/chunks/{stream.next_chunk}",
        field="number",
        next_chunk=stream.next_chunk,
    )


def put_chunk(stream: StreamSession, *, number: int, given: Given) -> StreamSession:
    """Keep the next chunk. Raises Conflict, TooLarge, or InvalidInput or DimensionMismatch where it does not fit."""
    from kvcache.attention.queries import check_queries

    require_next(stream, number)
    frame = given.snapshot.frame
    adapter = queries.get_adapter(stream.model)
    adapter.accept(frame)
    if given.queries is not None:
        check_queries(
            given.queries,
            given.query_positions,
            frame=frame,
            adapter=adapter,
            rope_applied=stream.settings["rope"] == "applied",
        )
    first = read_chunk(stream, 0).snapshot.frame if number else None
    check_follows(frame, first=first, position=_due(stream, frame), number=number)
    data = payloads.to_file(given)
    if (size := stream.size + len(data)) > (limit := settings.KV_CACHE_MAX_BYTES):
        raise TooLarge(f"the stream would have {size} bytes; the limit is {limit}", limit=limit, size=size)
    _folder(stream).mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=_folder(stream), delete=False) as incoming:
        incoming.write(data)
    with transaction.atomic():
        taken = StreamSession.objects.filter(id=stream.id, next_chunk=number).update(
            next_chunk=number + 1,
            next_position=frame.next_position,
            tokens=F("tokens") + frame.tokens,
            size=F("size") + len(data),
        )
        if taken:
            Path(incoming.name).replace(_path(stream, number))
    stream.refresh_from_db()
    if not taken:  # somebody else put it in the meantime
        Path(incoming.name).unlink()
        require_next(stream, number)
    return stream


def read_chunk(stream: StreamSession, number: int) -> Given:
    """Return a chunk that was put."""
    return payloads.from_file(_path(stream, number).read_bytes())


def close(stream: StreamSession) -> None:
    """Delete a stream and its chunks."""
    shutil.rmtree(_folder(stream), ignore_errors=True)
    StreamSession.objects.filter(id=stream.id).delete()


def _due(stream: StreamSession, frame: SnapshotFrame) -> int:
    """Return the position at which the next chunk must begin; the first may begin at any."""
    return stream.next_position if stream.next_chunk else int(frame.positions[0])


def _path(stream: StreamSession, number: int) -> Path:
    return _folder(stream) / f"{number}.safetensors"


def _folder(stream: StreamSession) -> Path:
    return Path(settings.DATA_DIR) / "streams" / stream.id


def remove_expired() -> None:
    for row in StreamSession.objects.filter(expires_at__lte=timezone.now()):
        close(row)
