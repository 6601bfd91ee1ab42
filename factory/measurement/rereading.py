"""What a memory is worth to the target that reads some of its tokens itself, at their own places."""

from typing import TYPE_CHECKING

import numpy as np

from awareness_sdk.transformers_bridge import read_in_place
from factory.measurement.evaluation import exchanged
from factory.measurement.passages import Passage
from factory.runners.model import RunningModel
from factory.runners.reading import Reading
from kvcache.exchange.mapping import OpenedWMatrix
from kvcache.exchange.rereading import Context
from kvcache.exchange.rereading.choosing import Budget, choose
from latentmas.protocol.quality import IN_PLACE
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from transformers import DynamicCache


def chosen_in(passage: Passage) -> Array:
    """Return the positions of the share of a passage that is read in place, chosen without any question."""
    return choose(Context(passage.spans, text=passage.text), Budget(share=IN_PLACE)).positions


def reread_in_place(
    passage: Passage, w_matrix: OpenedWMatrix, positions: Array, *, target: RunningModel, lean: float = 0.0
) -> "DynamicCache":
    """Return the target's cache of a passage: aligned but for the tokens at these positions, which it has read."""
    memory = exchanged(passage, w_matrix, reread=positions).snapshot
    return read_in(memory, passage, positions, target=target, lean=lean)


def read_in(
    memory: KVSnapshot, passage: Passage, positions: Array, *, target: RunningModel, lean: float = 0.0
) -> "DynamicCache":
    """Return the target's cache of a passage: a memory of it but for the tokens at these positions, which it reads."""
    return read_in_place(target.network, memory, tokens_at(passage, positions), positions, lean=lean)


def tokens_at(passage: Passage, positions: Array) -> Array:
    """Return the ids of a passage's tokens at these positions."""
    ids: Array = np.array(passage.context)[positions - 1]
    return ids


def after(cache: "DynamicCache", passage: Passage) -> Reading:
    """Return the reading of a passage's continuation after a cache."""
    return Reading(cache, passage.continuation, scored=len(passage.continuation) - 1)


def nll_after(target: RunningModel, cache: "DynamicCache", passage: Passage) -> float:
    """Return the mean NLL of a passage's continuation after a cache, which is extended by it."""
    return float(target.nlls([after(cache, passage)])[0].mean())
