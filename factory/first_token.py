"""Measure the time to the first token for the engine's benchmark, with a model that runs here."""

from django.conf import settings

from kvcache.server.first_token import Asked, Times
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.runners.weights import Weights, find_weights


def measure(asked: Asked) -> Times:
    """Return the median times of both ways; after either the model reads one more token and chooses the next.

    The model is loaded for it and let go again: a web process should not hold one. Raises ModelNotSupported,
    or InvalidInput for tokens that the model does not have.
    """
    from factory.session import return_freed_memory

    try:
        return _timed(asked, _weights(asked))
    finally:
        return_freed_memory()


def _weights(asked: Asked) -> Weights:
    weights = find_weights(asked.model, cache=settings.CACHE_DIR, convert=False)
    if weights.digest != asked.weights:
        raise ModelNotSupported(f"the weights of {asked.model} here are {weights.digest}, the cache's {asked.weights}")
    return weights


def _timed(asked: Asked, weights: Weights) -> Times:
    from factory.demonstration.arms import Arm, Start, first_token_times, start_of
    from factory.runners.model import load_model

    model = load_model(weights)
    size = int(model.network.get_input_embeddings().num_embeddings)
    if not 0 <= min(asked.token_ids) <= max(asked.token_ids) < size:
        raise InvalidInput(f"token_ids holds a number outside of 0 to {size - 1}", field="token_ids")
    reading = Arm("prefill", lambda: Start(asked.token_ids), moved=0)
    unpacking = Arm("memory", lambda: start_of(model, asked.unpack()), moved=0)
    prefill_ttft_ms, ttft_ms = first_token_times(model, [reading, unpacking], asked.token_ids[-1:])
    return Times(ttft_ms, prefill_ttft_ms)
