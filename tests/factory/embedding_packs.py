"""Packs of embeddings with vectors from a generator: both models see the same few factors of each passage."""

from pathlib import Path
from typing import Any

import numpy as np

from factory.corpora import Split
from factory.packs.pack import OpenedPack, PackDocument, open_pack
from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.w_matrix import Space

CORPUS = "sha256:" + "c" * 64
SPLITS = (*[Split.CALIBRATION] * 40, *[Split.SELECTION] * 10, *[Split.HELD_OUT] * 20)
PASSAGES = 4  # of each document
FACTORS = 12


def embedding_pack(
    path: Path, name: str, *, dimension: int = 16, noise: float = 0.3, seed: int = 0, **changes: Any
) -> OpenedPack:
    """Write and open a pack; `noise` is that of this model alone. `changes` replace fields of its document."""
    shared = np.random.default_rng(7).normal(size=(len(SPLITS) * PASSAGES, FACTORS))
    own = np.random.default_rng([seed, dimension])
    # A mean that is long beside the deviations, as the hidden states of language models have.
    rows = 10 + shared @ own.normal(size=(FACTORS, dimension)) + noise * own.normal(size=(len(shared), dimension))
    fields: dict[str, Any] = {
        "model": name,
        "weights": "sha256:" + f"{seed:064x}",
        "corpus": "generated",
        "corpus_digest": CORPUS,
        "documents": tuple(f"{number:064x}" for number in range(len(SPLITS))),
        "splits": SPLITS,
        "dimension": dimension,
        "space": Space.EMBEDDING,
        **changes,
    }
    document: Any = plain(PackDocument(**fields))
    arrays = {
        "rows": rows.astype(np.float16),
        "spans": np.array([(300 * place, 300 * place + 256) for place in range(PASSAGES)] * len(SPLITS), np.int32),
        "starts": np.arange(len(SPLITS) + 1, dtype=np.int64) * PASSAGES,
    }
    with path.open("wb") as file:
        tensors.write(file, arrays, document)
    return open_pack(path)
