"""One context in a model's memory, and how well the model continues from what a method leaves of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from awareness_sdk.transformers_bridge import cache_of, snapshot_of
from factory.codec.curve import agreement
from factory.codec.windows import Window
from factory.runners.model import RunningModel
from latentmas.protocol.snapshot import KVSnapshot, needed
from latentmas.protocol.tensors import Array

QUERIES = 64  # of the last tokens of the context: what a selection can know of the continuation


@dataclass(frozen=True, slots=True)
class Context:
    """`snapshot` is what the model still needs of the context, BOS in front."""

    snapshot: KVSnapshot
    queries: Array  # [layers, QUERIES, query heads, head_dim], RoPE not applied


@dataclass(frozen=True, slots=True)
class Case:
    """A context and how the model continues from it; NLLs are means over the continuation."""

    context: Context
    continuation: tuple[int, ...]
    own: Array  # log-probabilities [tokens, vocabulary] after the full cache
    own_nll: float
    nothing_nll: float  # after BOS alone


@dataclass(frozen=True, slots=True)
class Score:
    kl: float
    top1: float
    nll: float


def read_case(model: RunningModel, window: Window) -> Case:
    """Run the model over the context, and over the continuation with the full cache and with none."""
    context = read_context(model, window.context)
    own = continued(model, context.snapshot, window.continuation)
    nothing = model.log_probabilities(model.prefill([]), window.continuation, first_position=1)
    return Case(
        context=context,
        continuation=window.continuation,
        own=own,
        own_nll=_nll(own, window.continuation),
        nothing_nll=_nll(nothing, window.continuation),
    )


def read_context(model: RunningModel, ids: Sequence[int], *, queries: int = QUERIES) -> Context:
    """Run the model over a context."""
    with queries_of(model) as captured:
        cache = model.prefill(ids)
    whole = snapshot_of(cache, geometry=model.geometry, model=model.name, weights=model.weights)
    return Context(needed(whole)[0], np.stack(captured)[:, -queries:])


def continued(model: RunningModel, snapshot: KVSnapshot, ids: Sequence[int]) -> Array:
    """Return the log-probabilities `[ids, vocabulary]` after each token, read after a restored snapshot."""
    return model.log_probabilities(cache_of(snapshot), ids, first_position=snapshot.frame.next_position)


def score(model: RunningModel, case: Case, restored: KVSnapshot) -> Score:
    """Continue from a restored snapshot and compare with the full cache."""
    found = continued(model, restored, case.continuation)
    agreed = agreement(case.own, found)
    return Score(kl=agreed.kl, top1=agreed.top1, nll=_nll(found, case.continuation))


@contextmanager
def queries_of(model: RunningModel) -> Iterator[list[Array]]:
    """Collect, while the context is open, each layer's queries `[tokens, query heads, head_dim]` before RoPE."""
    captured: list[Array] = []

    def take(_module: Any, _inputs: Any, output: Any) -> None:
        array = output[0].numpy()
        heads_last = array.transpose(1, 0, 2) if array.ndim == 3 else array.reshape(len(array), -1, width)
        captured.append(heads_last.copy())

    width = model.geometry.head_dim
    attention = [layer.self_attn for layer in model.network.model.layers]
    hooks = [getattr(each, "q_norm", each.q_proj).register_forward_hook(take) for each in attention]
    try:
        yield captured
    finally:
        for hook in hooks:
            hook.remove()


def _nll(log_probabilities: Array, continuation: Sequence[int]) -> float:
    following = np.array(continuation[1:])
    return float(-log_probabilities[np.arange(len(following)), following].mean())
