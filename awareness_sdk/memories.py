"""`client.memories`: your private memories (KV-caches) on a server, `client.memories.upload(snapshot)`."""

from pathlib import Path
from typing import Any

from awareness_sdk.transport import Transport
from latentmas.protocol.snapshot import KVSnapshot, write_snapshot

Result = dict[str, Any]
BASE = "/api/stored-memories"


class MemoriesClient:
    """`client.memories`: only your own. Every call raises AwarenessError with the server's code."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(self, memory: KVSnapshot | bytes | Path) -> Result:
        """Store a snapshot, or a raw or .kvz file, and return what is known of it; the same file is kept once."""
        match memory:
            case KVSnapshot():
                data = write_snapshot(memory)
            case Path():
                data = memory.read_bytes()
            case _:
                data = memory
        return dict(self._transport.send("POST", BASE, content=data).json())

    def list(self) -> list[Result]:
        """Return your memories, newest first."""
        return [*self._transport.json("GET", BASE)["results"]]

    def get(self, memory_id: str) -> Result:
        """Return what is known of one memory."""
        return dict(self._transport.json("GET", f"{BASE}/{memory_id}"))

    def download(self, memory_id: str) -> bytes:
        """Return a memory's file, as it was uploaded. Raises AwarenessError if it comes with another digest."""
        with self._transport.file(f"{BASE}/{memory_id}/file") as pieces:
            return b"".join(pieces)

    def delete(self, memory_id: str) -> None:
        """Delete a memory and its file, for good."""
        self._transport.send("DELETE", f"{BASE}/{memory_id}")
