"""The factory's own commands: record a calibration pack."""

from contextlib import suppress

from factory.events import PackRecorded
from latentmas import blobs
from latentmas.events import store
from latentmas.events.errors import VersionConflict
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput


def record_pack(pack: PackRecorded, *, metadata: Metadata) -> None:
    """Append the event of a stored pack, once per file. Raises InvalidInput if the file is not stored."""
    if not blobs.exists(pack.digest):
        raise InvalidInput(f"the pack {pack.digest} is not stored; store it first", field="digest")
    stream = f"pack/{pack.digest.removeprefix('sha256:')}"
    if not store.stream_version(stream):
        # A conflict means that another writer has just recorded the same file.
        with suppress(VersionConflict):
            store.append(store.New(stream, [pack], expected=0), metadata=metadata)
