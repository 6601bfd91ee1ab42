"""Compress a KV-cache over HTTP while a model makes it: send it in chunks, get one compressed file at the end."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from awareness_sdk import snapshots
from awareness_sdk.metrics import RESULT_HEADER, result_of
from awareness_sdk.transport import SAFETENSORS, Transport
from latentmas.protocol.plain import plain_snapshot
from latentmas.protocol.snapshot import KVSnapshot, write_snapshot

MESSAGES = "application/octet-stream"
MODEL_RANK = 4


class KVCacheStream:
    """Put chunks in order, then finish once. The server forgets an unfinished stream after some minutes."""

    def __init__(
        self, transport: Transport, opened: Mapping[str, Any], *, adapter: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._transport = transport
        self._adapter = adapter
        self.state: Mapping[str, Any] = opened  # as the server last reported it

    def put(
        self,
        keys: Any = None,
        values: Any = None,
        queries: Any = None,
        *,
        snapshot: KVSnapshot | None = None,
        query_positions: Any = None,
        weights: str | None = None,
    ) -> Mapping[str, Any]:
        """Send the next chunk, whose tokens follow the last one's. An AwarenessError leaves the stream unchanged."""
        content = write_snapshot(
            snapshot or self._snapshot(keys, values, weights),
            queries=snapshots.queries_of(queries),
            query_positions=None if query_positions is None else np.asarray(query_positions, np.int32),
        )
        self.state = self._transport.send("PUT", self.state["chunk_url"], content=content).json()
        return self.state

    def finish(self) -> dict[str, Any]:
        """Return `compressed`, one .kvz file of all chunks, and its metrics."""
        response = self._transport.send("POST", self.state["finish_url"], accept=SAFETENSORS)
        return result_of(response.headers[RESULT_HEADER]) | {"compressed": response.content}

    def finish_as_messages(self) -> bytes:
        """Return the stream's messages: one a chunk, then the index of the tokens to drop."""
        return self._transport.send("POST", self.state["finish_url"], accept=MESSAGES).content

    def _snapshot(self, keys: Any, values: Any, weights: str | None) -> KVSnapshot:
        first = self.state["next_position"]
        if np.ndim(keys) != MODEL_RANK:
            return plain_snapshot(keys, values, first=first)
        return snapshots.model_snapshot(keys, values, adapter=self._adapter(), weights=weights, first=first)
