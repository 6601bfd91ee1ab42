"""Calibration packs: what one model's cache holds for a public corpus, so that pairs can be fitted without running it.

A safetensors file: `rows` `[tokens, width]` fp16 (keys without RoPE and values; BOS apart), `bos` `[width]` float32,
`spans` `[tokens, 2]` (characters of each token in its document) and `starts` `[documents + 1]`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from factory.corpora import Document, Split, TextCorpus
from factory.progress import Progress
from factory.runners.model import RunningModel
from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array

KIND = "calibration-pack"
MAX_BYTES = 4 << 30
MAX_CHARACTERS = 2048  # of each document: the same cut for every tokenizer
CALIBRATION_TOKENS = 25_000
SELECTION_TOKENS = 2_500
HELD_OUT_TOKENS = 2_500
FP16_LIMIT = 65_504.0


@dataclass(frozen=True, slots=True)
class PackDocument:
    """What a pack says of itself."""

    model: str
    weights: str
    corpus: str
    corpus_digest: str
    geometry: KVGeometry
    documents: tuple[str, ...]  # SHA-256 of each document, hex, in the order of `starts`
    splits: tuple[Split, ...]
    kind: str = KIND


@dataclass(frozen=True, slots=True)
class CalibrationPack:
    """An opened pack. Rows stay on disk until they are asked for."""

    document: PackDocument
    file: tensors.TensorFile
    spans: Array
    starts: Array
    bos: Array

    def indices(self, split: Split) -> dict[str, int]:
        """Return the place of each of a split's documents, by digest."""
        documents = enumerate(zip(self.document.documents, self.document.splits, strict=True))
        return {digest: index for index, (digest, each) in documents if each is split}

    def rows(self, index: int) -> Array:
        """Return one document's rows `[1 + tokens, width]`, float32, BOS first."""
        start, end = int(self.starts[index]), int(self.starts[index + 1])
        return np.concatenate([self.bos[None], self.file.read("rows", first=start, count=end - start)]).astype(
            np.float32
        )

    def spans_of(self, index: int) -> Array:
        return self.spans[int(self.starts[index]) : int(self.starts[index + 1])]


def capture_pack(
    model: RunningModel, corpus: TextCorpus, file: BinaryIO, *, calibration_tokens: int, progress: Progress
) -> None:
    """Run the model over the corpus and write its pack. Raises InvalidInput where activations exceed fp16."""
    budgets = {
        Split.CALIBRATION: calibration_tokens,
        Split.SELECTION: SELECTION_TOKENS,
        Split.HELD_OUT: HELD_OUT_TOKENS,
    }
    chosen = list(_within_budgets(model, corpus, budgets))
    rows: list[Array] = []
    spans: list[tuple[int, int]] = []
    starts = [0]
    for number, document in enumerate(chosen):
        progress(number, len(chosen))
        encoding = model.encode(document.text[:MAX_CHARACTERS])
        captured = model.capture(encoding.ids)[1:]
        if np.abs(captured).max() > FP16_LIMIT:
            raise InvalidInput(f"an activation of {model.name} is {np.abs(captured).max():.0f}, beyond fp16")
        rows.append(captured.astype(np.float16))
        spans.extend(encoding.spans)
        starts.append(starts[-1] + len(encoding.ids))
    progress(len(chosen), len(chosen))
    document_of_pack: Any = plain(
        PackDocument(
            model=model.name,
            weights=model.weights,
            corpus=corpus.name,
            corpus_digest=corpus.digest,
            geometry=model.geometry,
            documents=tuple(document.digest for document in chosen),
            splits=tuple(document.split for document in chosen),
        )
    )
    together = np.concatenate(rows)
    rows.clear()  # half of the memory
    arrays = {
        "rows": together,
        "spans": np.array(spans, dtype=np.int32),
        "starts": np.array(starts, dtype=np.int64),
        "bos": model.capture(())[0],
    }
    tensors.write(file, arrays, document_of_pack)


def open_pack(path: Path) -> CalibrationPack:
    """Return a checked pack. Raises InvalidInput, DimensionMismatch or TooLarge."""
    file = tensors.open_tensors(path, max_bytes=MAX_BYTES)
    try:
        document = msgspec.convert(file.document, PackDocument, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the pack's document is malformed: {error}") from error
    if document.kind != KIND or set(file.tensors) != {"rows", "spans", "starts", "bos"}:
        raise InvalidInput("this file is no calibration pack")
    starts, spans = file.read("starts"), file.read("spans")
    tokens = file.tensors["rows"].shape[0]
    expected = {"rows": (tokens, document.geometry.width), "bos": (document.geometry.width,), "spans": (tokens, 2)}
    for name, shape in expected.items():
        if file.tensors[name].shape != shape:
            raise DimensionMismatch(f"{name} has the shape {file.tensors[name].shape}; the pack asks for {shape}")
    increasing = starts.ndim == 1 and starts[0] == 0 and starts[-1] == tokens and bool(np.all(np.diff(starts) > 0))
    if not increasing or not len(document.documents) == len(document.splits) == len(starts) - 1:
        raise InvalidInput("the pack's documents do not fit its rows")
    return CalibrationPack(document, file, spans, starts, file.read("bos"))


def _within_budgets(model: RunningModel, corpus: TextCorpus, budgets: dict[Split, int]) -> Iterator[Document]:
    for split, budget in budgets.items():
        used = 0
        for document in corpus.part(split):
            used += len(model.encode(document.text[:MAX_CHARACTERS]).ids)
            if used > budget:
                break
            yield document
