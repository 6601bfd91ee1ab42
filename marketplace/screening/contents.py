"""What a version holds: its memories, decoded, and the texts that a buyer or the public would see."""

from collections.abc import Iterator
from dataclasses import dataclass

from latentmas import blobs
from latentmas.protocol.long_term_memory import read_collection
from latentmas.protocol.reasoning_chain import read_chain
from latentmas.protocol.snapshot import KVSnapshot
from marketplace.artefacts.models import Artefact, ArtefactVersion
from marketplace.artefacts.snapshots import snapshot_in
from marketplace.sales.goods import Kind


@dataclass(frozen=True, slots=True)
class PlacedText:
    """A text and where it stands, in words."""

    place: str
    text: str


def memories_in(artefact: Artefact, version: ArtefactVersion) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a version's memories, each after the digest of what it was published in; none of embeddings.

    That is the version's file, or the segment's. Raises InvalidInput or TooLarge for a file that cannot be read, and
    NotFound where it is gone.
    """
    data = blobs.get_bytes(version.file_digest)
    match Kind(artefact.kind):
        case Kind.MEMORY:
            yield version.file_digest, data
        case Kind.REASONING_CHAIN:
            yield version.file_digest, read_chain(data).memory
        case Kind.LONG_TERM_MEMORY:
            for segment in read_collection(data).segments:
                yield segment.file, blobs.get_bytes(segment.file)
        case _:
            return


def snapshots_of(artefact: Artefact, version: ArtefactVersion) -> Iterator[KVSnapshot]:
    """Yield the memories of a version, one at a time: every segment of a long-term memory; none of embeddings.

    Raises what `memories_in` does, DimensionMismatch, ModelNotSupported, and NotFound where a codec profile is gone.
    """
    for _, data in memories_in(artefact, version):
        yield snapshot_in(data, artefact.model)


def texts_of(artefact: Artefact, version: ArtefactVersion) -> Iterator[PlacedText]:
    """Yield the texts of an artefact's card and those in a version's file. Raises as `snapshots_of` does."""
    yield PlacedText("title", artefact.title)
    yield PlacedText("description", artefact.description)
    yield PlacedText("rights statement", version.rights)
    match Kind(artefact.kind):
        case Kind.REASONING_CHAIN:
            for number, step in enumerate(read_chain(blobs.get_bytes(version.file_digest)).steps, start=1):
                yield PlacedText(f"step {number}", step.text)
        case Kind.LONG_TERM_MEMORY:
            for number, segment in enumerate(read_collection(blobs.get_bytes(version.file_digest)).segments, start=1):
                yield PlacedText(f"segment {number}", segment.text)
        case _:
            return
