"""Calibration packs: one model's KV-cache rows (or vectors) over a corpus, to fit maps without running the model.

A safetensors file: `rows` `[tokens, width]` fp16 (keys without RoPE and values; BOS apart), `bos` `[width]` float32,
`spans` `[tokens, 2]` (characters of each token in its document) and `starts` `[documents + 1]`. In a pack of embeddings
a row is the vector of a passage, `spans` are the passages' characters, and there is no `bos`.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from factory.corpora import Split
from latentmas.protocol import tensors
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import ModelIdentity
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Space

KIND = "calibration-pack"
MAX_BYTES = 4 << 30
EMBEDDING_TENSORS = frozenset({"rows", "spans", "starts"})
CACHE_TENSORS = EMBEDDING_TENSORS | {"bos"}


@dataclass(frozen=True, slots=True)
class PackDocument:
    """A pack's metadata. Raises InvalidInput unless it has either a geometry or a dimension, as its space wants."""

    model: str
    weights: str
    corpus: str
    corpus_digest: str
    documents: tuple[str, ...]  # SHA-256 of each document, hex, in the order of `starts`
    splits: tuple[Split, ...]
    geometry: KVGeometry | None = None  # of a cache
    dimension: int | None = None  # of an embedding
    space: Space = Space.KV_CACHE
    kind: str = KIND

    def __post_init__(self) -> None:
        described = {Space.KV_CACHE: self.geometry, Space.EMBEDDING: self.dimension}
        if self.space not in described or [each for each in described.values() if each] != [described[self.space]]:
            raise InvalidInput(
                f"a pack of the space {self.space.value!r} with the geometry {self.geometry} and the dimension "
                f"{self.dimension}; a kv-cache has a geometry alone, an embedding a dimension alone"
            )

    @property
    def width(self) -> int:
        """The width of a row."""
        width = self.geometry.width if self.geometry is not None else self.dimension
        assert width is not None  # checked by __post_init__
        return width

    @property
    def tensors(self) -> frozenset[str]:
        """The names of the file's tensors."""
        return EMBEDDING_TENSORS if self.space is Space.EMBEDDING else CACHE_TENSORS


@dataclass(frozen=True, slots=True)
class OpenedPack:
    """An opened pack. Rows stay on disk until they are asked for."""

    document: PackDocument
    file: tensors.TensorFile
    spans: Array
    starts: Array
    bos: Array | None  # None in a pack of embeddings

    def of_cache(self) -> tuple[KVGeometry, Array]:
        """Return geometry and BOS row of a pack of a KV-cache. Raises InvalidInput for one of embeddings."""
        if self.document.geometry is None or self.bos is None:
            raise InvalidInput(f"the pack of {self.document.model} holds embeddings, not a KV-cache")
        return self.document.geometry, self.bos

    @property
    def identity(self) -> ModelIdentity:
        """The model that was run, with its weights."""
        return ModelIdentity(self.document.model, self.document.weights)

    def indices(self, split: Split) -> dict[str, int]:
        """Return the index of each of a split's documents, by digest."""
        documents = enumerate(zip(self.document.documents, self.document.splits, strict=True))
        return {digest: index for index, (digest, each) in documents if each is split}

    def rows(self, index: int) -> Array:
        """Return one document's rows, float32: `[1 + tokens, width]`, BOS first, or `[passages, width]`."""
        start, end = int(self.starts[index]), int(self.starts[index + 1])
        rows = self.file.read("rows", first=start, count=end - start).astype(np.float32)
        return rows if self.bos is None else np.concatenate([self.bos[None].astype(np.float32), rows])

    def spans_of(self, index: int) -> Array:
        return self.spans[int(self.starts[index]) : int(self.starts[index + 1])]


def open_pack(path: Path) -> OpenedPack:
    """Return a checked pack. Raises InvalidInput, DimensionMismatch or TooLarge."""
    file = tensors.open_tensors(path, max_bytes=MAX_BYTES)
    try:
        document = msgspec.convert(file.document, PackDocument, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the pack's document is malformed: {error}") from error
    if document.kind != KIND or set(file.tensors) != document.tensors:
        raise InvalidInput("this file is no calibration pack")
    starts, spans = file.read("starts"), file.read("spans")
    tokens = file.tensors["rows"].shape[0]
    expected = {"rows": (tokens, document.width), "bos": (document.width,), "spans": (tokens, 2)}
    for name, shape in expected.items():
        if name in file.tensors and file.tensors[name].shape != shape:
            raise DimensionMismatch(f"{name} has the shape {file.tensors[name].shape}; the pack asks for {shape}")
    increasing = starts.ndim == 1 and starts[0] == 0 and starts[-1] == tokens and bool(np.all(np.diff(starts) > 0))
    if not increasing or not len(document.documents) == len(document.splits) == len(starts) - 1:
        raise InvalidInput("the pack's documents do not fit its rows")
    return OpenedPack(document, file, spans, starts, file.read("bos") if "bos" in file.tensors else None)
