"""A text in the tokens of a model that is to take a memory of it in: what a receiver knows without a prefill."""

import numpy as np

from awareness_sdk.first_layer import first_layers_and_states, known_layers
from factory.runners.model import RunningModel
from kvcache.exchange.placement import TargetTokens


def target_tokens(model: RunningModel, text: str, *, layers: int | None = None) -> TargetTokens:
    """Return what a receiver knows of a text without a prefill: its tokens, their spans and their first layers.

    `layers` are those that the W-Matrix takes; without it, as many as one that is fitted here takes.
    """
    encoding = model.encode(text)
    ids = np.array(encoding.ids)
    layers = layers or known_layers(model.geometry)
    known = first_layers_and_states(model.network, ids, layers=layers, bos=model.bos)
    return TargetTokens(np.array(encoding.spans), ids=ids, first_layer=known.rows, states=known.states)


def with_bos(tokens: TargetTokens, bos: int) -> TargetTokens:
    """Return the tokens with BOS in front, so that the memory made with them names the ids of all of its tokens."""
    assert tokens.ids is not None
    layer, states = (
        None if each is None else np.pad(each, ((1, 0), (0, 0)))  # BOS's is not used: the W-Matrix brings the sink
        for each in (tokens.first_layer, tokens.states)
    )
    spans = np.concatenate([np.zeros((1, 2), np.int64), np.asarray(tokens.spans)])
    return TargetTokens(spans, ids=np.array([bos, *tokens.ids]), first_layer=layer, states=states)
