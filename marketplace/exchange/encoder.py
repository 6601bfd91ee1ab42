"""The packaged sentence encoder, by which texts are chosen for their meaning."""

from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings

from latentmas.runners.weights import find_weights

if TYPE_CHECKING:
    from latentmas.runners.embedding import EmbeddingModel

ENCODER = "all-minilm-l6-v2"


@lru_cache(maxsize=1)
def sentence_encoder() -> "EmbeddingModel":
    """Return the encoder, loaded. Raises ModelNotSupported where models cannot be run here."""
    from latentmas.runners.embedding import load_embedding_model

    return load_embedding_model(find_weights(ENCODER, cache=settings.CACHE_DIR))
