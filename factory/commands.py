"""Every write of the factory's own: calibration packs on the record."""

from contextlib import suppress

from factory.events import PackRecorded
from latentmas import blobs
from latentmas.events import store
from latentmas.events.errors import VersionConflict
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput


def record_pack(pack: PackRecorded, *, metadata: Metadata) -> None:
    """Put a stored pack on the record, once. Raises InvalidInput where its file is not stored."""
    if not blobs.exists(pack.digest):
        raise InvalidInput(f"the pack {pack.digest} is not stored; store it first", field="digest")
    stream = f"pack/{pack.digest.removeprefix('sha256:')}"
    if not store.stream_version(stream):
        # A conflict is another writer with the very same file: once on record is enough.
        with suppress(VersionConflict):
            store.append(store.New(stream, [pack], expected=0), metadata=metadata)
