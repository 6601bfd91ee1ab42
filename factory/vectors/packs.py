"""Packs of embeddings: one model's vectors of the passages that every model reads alike."""

from typing import Any, BinaryIO

import numpy as np

from factory.corpora import TextCorpus
from factory.packs import FP16_LIMIT, CalibrationPack, PackDocument
from factory.progress import Progress
from factory.runners.embedding import EmbeddingModel, load_embedding_model
from factory.vectors.passages import passages_within
from factory.workshop import Workshop
from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Space

PASSAGES = 1_000  # of about 55 tokens: 80 to 110 s of one core for a model of 100 M parameters
CAPTURE_BATCH = 64  # passages between two reports of progress


def embedding_pack(name: str, workshop: Workshop, *, passages: int = PASSAGES) -> CalibrationPack:
    """Return the model's vectors for the workshop's corpus, captured and recorded now if they are not on record yet.

    Raises ModelNotSupported, InvalidInput or StorageUnavailable.
    """

    def capture(file: BinaryIO) -> None:
        workshop.unload_models()
        model, progress = load_embedding_model(workshop.weights(name)), workshop.stage(f"embed with {name}")
        capture_embeddings(model, workshop.corpus, file, passages=passages, progress=progress)

    return workshop.recorded(name, capture, space=Space.EMBEDDING, amount=passages)


def capture_embeddings(
    model: EmbeddingModel, corpus: TextCorpus, file: BinaryIO, *, passages: int, progress: Progress
) -> None:
    """Run the model over the corpus's passages and write its pack. Raises InvalidInput where vectors exceed fp16."""
    chosen = passages_within(corpus, budget=passages)
    texts = [text for each in chosen for text in each.texts]
    rows: list[Array] = []
    for first in range(0, len(texts), CAPTURE_BATCH):
        progress(first, len(texts))
        vectors = model.embed(texts[first : first + CAPTURE_BATCH])
        if (largest := float(np.abs(vectors).max())) > FP16_LIMIT:
            raise InvalidInput(f"an activation of {model.name} is {largest:.0f}, beyond fp16")
        rows.append(vectors.astype(np.float16))
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
