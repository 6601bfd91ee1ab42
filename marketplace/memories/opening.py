"""What a memory's file says of itself; nothing is decoded."""

from dataclasses import dataclass, replace

from kvcache.compression.container import KIND as KVZ
from kvcache.compression.container import read_kvz
from kvcache.server.queries import get_adapter
from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KIND as RAW
from latentmas.protocol.snapshot import SnapshotFrame, read_snapshot
from marketplace.memories.models import Kind


@dataclass(frozen=True, slots=True)
class OpenedMemory:
    """A raw snapshot's or .kvz file's frame under the registry's name of its model."""

    kind: Kind
    model: str
    frame: SnapshotFrame
    method: str  # the coding of keys and values, `select+` in front where tokens were dropped
    profile: str | None  # the codec profile that a .kvz file needs


def open_memory(data: bytes, *, max_decoded_bytes: int) -> OpenedMemory:
    """Return what a raw snapshot or .kvz file says.

    Raises InvalidInput, DimensionMismatch, ModelNotSupported or TooLarge for a file that is no memory of a known model.
    """
    file = tensors.parse_tensors(data, max_bytes=len(data))
    said = file.document.get("kind")
    if said == KVZ:
        container = read_kvz(file, max_decoded_bytes=max_decoded_bytes)
        kind, frame, profile = Kind.KVZ, container.frame, container.profile
        method = f"select+{container.encoded.coding}" if container.selection else container.encoded.coding
    elif said == RAW:
        snapshot, _ = read_snapshot(file)
        kind, frame, profile, method = Kind.RAW, snapshot.frame, None, "raw"
    else:
        raise InvalidInput(f"the file is of the kind {said!r}; a memory is a {RAW!r} or a {KVZ!r}", field="body")
    if frame.model is None:
        raise InvalidInput(
            "the file does not name the model whose memory it is",
            resolution="Name the model where the snapshot is made.",
            field="model",
        )
    adapter = get_adapter(frame.model)
    named = replace(frame, model=adapter.model)
    adapter.accept(named)
    return OpenedMemory(kind, adapter.model, named, method, profile)
