"""Run a model over a corpus and write its calibration pack: rows of its KV-cache, or vectors of its passages."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from factory.corpora import Document, Split, TextCorpus
from factory.corpora.documents import CUT
from factory.packs.pack import OpenedPack, PackDocument
from factory.packs.sentences import passages_within
from factory.progress import Progress
from factory.slices import WHOLE, Slice
from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Space

if TYPE_CHECKING:
    from factory.runners.model import RunningModel
    from latentmas.runners.embedding import EmbeddingModel  # at run time both bring JAX along

CALIBRATION_TOKENS = 100_000
CHOICE_TOKENS = 2_500  # of the selection documents, and of the held-out ones
LONG_CHOICE_TOKENS = 5_000  # the same where documents are longer than usual
FP16_LIMIT = 65_504.0
PASSAGES = 1_000  # of about 55 tokens: 80 to 110 s of one core for a model of 100 M parameters
CAPTURE_BATCH = 64  # passages between two reports of progress


def capture_pack(
    model: "RunningModel",
    corpus: TextCorpus,
    file: BinaryIO,
    *,
    calibration_tokens: int,
    progress: Progress,
    part: Slice = WHOLE,
) -> None:
    """Run the model over the corpus, or a part of it, and write its pack.

    Raises InvalidInput where activations exceed fp16.
    """
    choice = CHOICE_TOKENS if corpus.cut <= CUT else LONG_CHOICE_TOKENS
    budgets = {Split.CALIBRATION: calibration_tokens, Split.SELECTION: choice, Split.HELD_OUT: choice}
    chosen = part.of(list(_within_budgets(model, corpus, budgets)))
    rows: list[Array] = []
    spans: list[tuple[int, int]] = []
    starts = [0]
    for number, document in enumerate(chosen):
        progress(number, len(chosen))
        encoding = model.encode(document.text[: corpus.cut])
        rows.append(_halved(model.capture(encoding.ids)[1:], model=model.name))
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


def join_packs(packs: Sequence[OpenedPack], file: BinaryIO) -> None:
    """Write the pack whose documents are those of all packs, in their order: the parts of one capture."""
    documents = [each.document for each in packs]
    joined = replace(
        documents[0],
        documents=tuple(digest for each in documents for digest in each.documents),
        splits=tuple(split for each in documents for split in each.splits),
    )
    lengths = np.concatenate([np.diff(each.starts) for each in packs])
    arrays = {
        "rows": np.concatenate([each.file.read("rows") for each in packs]),
        "spans": np.concatenate([each.spans for each in packs]),
        "starts": np.cumsum([0, *lengths], dtype=np.int64),
        "bos": packs[0].of_cache()[1],
    }
    document: Any = plain(joined)
    tensors.write(file, arrays, document)


def capture_embeddings(
    model: "EmbeddingModel", corpus: TextCorpus, file: BinaryIO, *, passages: int, progress: Progress
) -> None:
    """Run the model over the corpus's passages and write its pack. Raises InvalidInput where vectors exceed fp16."""
    chosen = passages_within(corpus, budget=passages)
    texts = [text for each in chosen for text in each.texts]
    rows: list[Array] = []
    for first in range(0, len(texts), CAPTURE_BATCH):
        progress(first, len(texts))
        rows.append(_halved(model.embed(texts[first : first + CAPTURE_BATCH]), model=model.name))
    progress(len(texts), len(texts))
    document: Any = plain(
        PackDocument(
            model=model.name,
            weights=model.weights,
            corpus=corpus.name,
            corpus_digest=corpus.digest,
            documents=tuple(each.document.digest for each in chosen),
            splits=tuple(each.document.split for each in chosen),
            dimension=model.dimension,
            space=Space.EMBEDDING,
        )
    )
    arrays = {
        "rows": np.concatenate(rows),
        "spans": np.array([span for each in chosen for span in each.spans], dtype=np.int32),
        "starts": np.cumsum([0, *(len(each.spans) for each in chosen)], dtype=np.int64),
    }
    tensors.write(file, arrays, document)


def _halved(activations: Array, *, model: str) -> Array:
    """Return activations as float16. Raises InvalidInput where one is beyond its range."""
    if (largest := float(np.abs(activations).max())) > FP16_LIMIT:
        raise InvalidInput(f"an activation of {model} is {largest:.0f}, beyond fp16")
    return activations.astype(np.float16)


def _within_budgets(model: "RunningModel", corpus: TextCorpus, budgets: dict[Split, int]) -> Iterator[Document]:
    for split, budget in budgets.items():
        used = 0
        for document in corpus.part(split):
            used += len(model.encode(document.text[: corpus.cut]).ids)
            if used > budget:
                break
            yield document
