"""What a seller's stored memories become: the file of a version, and what its card says of it."""

from dataclasses import dataclass

from latentmas import blobs
from latentmas.protocol.errors import InvalidInput
from marketplace.artefacts.events import Contents, Segment
from marketplace.listings.events.listing import StoredFile
from marketplace.memories.models import StoredMemory
from marketplace.memories.opening import OpenedMemory

MAX_CANARY = 512  # tokens or vectors


@dataclass(frozen=True, slots=True)
class Made:
    """A stored file with its contents. `sources` are the stored memories that it needs until the version is on record.

    `segments` are those that a long-term memory did not have before.
    """

    file: StoredFile
    contents: Contents
    canary: StoredFile | None = None
    segments: tuple[Segment, ...] = ()
    sources: tuple[StoredMemory, ...] = ()


def stored(data: bytes) -> StoredFile:
    """Store a file."""
    return StoredFile(blobs.put_bytes(data), len(data))


def contents_of(opened: OpenedMemory, *, coded_bytes: int, parts: int = 1) -> Contents:
    """Return what a card says of a memory's file."""
    frame = opened.frame
    return Contents(
        model=opened.model,
        weights=frame.weights,
        tokens=frame.tokens,
        width=frame.geometry.width,
        method=opened.method,
        raw_bytes=frame.raw_bytes,
        coded_bytes=coded_bytes,
        layers=frame.geometry.layers,
        heads=frame.geometry.heads,
        head_dim=frame.geometry.head_dim,
        next_position=frame.next_position,
        profile=opened.profile,
        parts=parts,
    )


def check_canary(count: int, whole: int) -> None:
    """Refuse to give away nothing, too much, or everything. Raises InvalidInput."""
    if not 1 <= count <= min(MAX_CANARY, whole - 1):
        raise InvalidInput(
            f"{count} of {whole} cannot be given away; it must be 1 to {min(MAX_CANARY, whole - 1)}",
            field="canary",
        )
