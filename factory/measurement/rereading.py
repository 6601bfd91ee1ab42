"""What a memory is worth to the target that reads some of its tokens itself, at their own places."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from awareness_sdk.transformers_bridge import read_in_place
from factory.measurement.evaluation import exchanged
from factory.measurement.passages import Passage
from factory.runners.model import RunningModel
from kvcache.exchange.mapping import OpenedWMatrix
from kvcache.exchange.rereading import Context
from kvcache.exchange.rereading.choosing import Budget, choose
from latentmas.protocol.quality import IN_PLACE
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from transformers import DynamicCache

# The target's cache of a passage, of which it has read the tokens at some positions itself.
InPlace = Callable[[Passage, Array, RunningModel], "DynamicCache"]


def chosen_in(passage: Passage) -> Array:
    """Return the positions of the share of a passage that is read in place, chosen without any question."""
    return choose(Context(passage.spans, text=passage.text), Budget(share=IN_PLACE)).positions


def alone(passage: Passage, positions: Array, *, target: RunningModel) -> "DynamicCache":
    """Return the target's cache of the tokens at these positions, read as text after nothing."""
    return target.prefill([passage.context[position - 1] for position in positions])


def reread_in_place(
    passage: Passage, w_matrix: OpenedWMatrix, positions: Array, *, target: RunningModel
) -> "DynamicCache":
    """Return the target's cache of a passage: aligned but for the tokens at these positions, which it has read."""
    done = exchanged(passage, w_matrix, reread=positions)
    ids = np.array(passage.context)[positions - 1]
    return read_in_place(target.network, done.snapshot, ids, positions)


def nll_after(target: RunningModel, cache: "DynamicCache", passage: Passage) -> float:
    """Return the mean NLL of a passage's continuation after a cache, which is extended by it."""
    return float(target.continuation_nll(cache, passage.continuation).mean())
