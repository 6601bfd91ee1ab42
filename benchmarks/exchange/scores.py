"""How likely a model finds each answer after a memory and a question, and what it answers by itself."""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.exchange.questions import Fact, answers, asked
from factory.runners.model import RunningModel
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from transformers import DynamicCache

GREEDY_TOKENS = 6


def scored(model: RunningModel, memory: "DynamicCache", fact: Fact) -> tuple[bool, bool, float]:
    """Return whether the true answer is the likeliest, whether the model itself says it, and by how much it leads.

    The lead is in nats over the likeliest alternative. The memory is left as it was.
    """
    cache = copy.deepcopy(memory)
    question = asked(model, fact)
    after = model.log_probabilities(cache, question, first_position=cache.get_seq_length())[-1]
    likelihoods = _log_likelihoods(model, cache, after, answers(model, fact))
    lead = float(likelihoods[0] - likelihoods[1:].max())
    return lead > 0, _says(model, cache, after, fact.answer), lead


def _log_likelihoods(
    model: RunningModel, cache: "DynamicCache", after: Array, alternatives: Sequence[Sequence[int]]
) -> Array:
    """Return the log-likelihood in nats of each answer; `after` `[vocabulary]` is the prediction of its first token."""
    found = []
    for tokens in alternatives:
        total = float(after[tokens[0]])
        if len(tokens) > 1:
            rest = model.log_probabilities(copy.deepcopy(cache), tokens[:-1], first_position=cache.get_seq_length())
            total += float(rest[np.arange(len(tokens) - 1), list(tokens[1:])].sum())
        found.append(total)
    return np.array(found)


def _says(model: RunningModel, cache: "DynamicCache", after: Array, answer: str) -> bool:
    """Return whether what the model writes begins with the answer, in whatever case. The cache grows by it."""
    said = [int(after.argmax())]
    while True:
        text = str(model.tokenizer.decode(said)).strip().lower()
        if text.startswith(answer.lower()):
            return True
        if len(said) == GREEDY_TOKENS or not answer.lower().startswith(text):
            return False
        likely = model.log_probabilities(cache, said[-1:], first_position=cache.get_seq_length())[-1]
        said.append(int(likely.argmax()))
