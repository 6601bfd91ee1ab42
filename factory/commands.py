"""The factory's own commands: record a calibration pack, refuse one."""

from contextlib import suppress

from factory.events import PackRecorded, PackRefused
from factory.queries import get_pack
from latentmas import blobs
from latentmas.events import store
from latentmas.events.errors import VersionConflict
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput


def record_pack(pack: PackRecorded, *, metadata: Metadata) -> None:
    """Append the event of a stored pack, once per file. Raises InvalidInput if the file is not stored."""
    if not blobs.exists(pack.digest):
        raise InvalidInput(f"the pack {pack.digest} is not stored; store it first", field="digest")
    stream = _stream(pack.digest)
    if not store.stream_version(stream):
        # A conflict means that another writer has just recorded the same file.
        with suppress(VersionConflict):
            store.append(store.New(stream, [pack], expected=0), metadata=metadata)


def refuse_pack(refusal: PackRefused, *, metadata: Metadata) -> None:
    """Append that a recorded pack is not used any more. Raises NotFound; a second refusal is recorded too."""
    get_pack(refusal.digest)
    store.append(store.New(_stream(refusal.digest), [refusal]), metadata=metadata)


def _stream(digest: str) -> str:
    return f"pack/{digest.removeprefix('sha256:')}"
