"""A sentence encoder that runs no model."""

from collections.abc import Sequence

import numpy as np

from latentmas.protocol.tensors import Array


class Encoder:
    """Words as directions: texts that share words are alike."""

    name, weights = "words", "sha256:" + "e" * 64

    def embed(self, passages: Sequence[str]) -> Array:
        vectors = np.zeros((len(passages), 256), "f4")
        for row, passage in enumerate(passages):
            for word in passage.lower().replace(".", "").split():
                vectors[row, sum(word.encode()) % 256] += 1
        unit: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit
