"""Send files in pieces: one that broke off goes on where it stopped, in another process too."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from awareness_sdk.transport import Transport

Result = dict[str, Any]
Sent = Callable[[int, int], None]  # bytes that have arrived, of so many
UPLOADS = "/api/uploads"
CHUNK_BYTES = 8 << 20  # what a request that breaks off costs at most


def upload(
    transport: Transport,
    source: str | os.PathLike[str] | bytes,
    *,
    progress: Sent | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Result:
    """Send a file, by its path or its bytes, and return the finished upload; `progress` is called after each piece."""
    with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        sent = _begun(transport, digest, size=file.seek(0, os.SEEK_END))
        while not sent["stored"]:
            sent = _continued(transport, sent, file, chunk_bytes)
            if progress is not None:
                progress(sent["offset"], sent["size"])
    return sent


def _begun(transport: Transport, digest: str, *, size: int) -> Result:
    """Return the agent's upload of this file: one that broke off, or a new one."""
    for each in transport.json("GET", UPLOADS)["results"]:
        if (each["digest"], each["size"]) == (digest, size):
            return dict(each)
    return dict(transport.json("POST", UPLOADS, body={"digest": digest, "size": size}))


def _continued(transport: Transport, sent: Result, file: BinaryIO, chunk_bytes: int) -> Result:
    file.seek(sent["offset"])
    headers = {"Upload-Offset": str(sent["offset"])}
    return dict(transport.send("PATCH", sent["url"], content=file.read(chunk_bytes), headers=headers).json())
