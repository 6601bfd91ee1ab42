"""The arms of the demonstration: a model answers from a handed-over memory, the text, nothing, or a wrong memory.

Every arm ends in transformers' own greedy `generate`; only what stands before the question differs.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from awareness_sdk.transformers_bridge import LEAN, cache_of, read_in_place
from factory.demonstration.memories import Packed, opened
from factory.runners.model import RunningModel
from factory.runners.tokens import target_tokens
from kvcache.exchange.exchange import Exchanged, exchange
from kvcache.exchange.mapping import OpenedWMatrix
from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.policy import Policy
from kvcache.exchange.rereading import Context
from kvcache.exchange.rereading.choosing import Budget, choose
from latentmas.protocol.snapshot import KVSnapshot

if TYPE_CHECKING:
    from transformers import DynamicCache

REPETITIONS = 3  # of the time to the first token, after one that warms up
MS_PER_SECOND = 1000.0


@dataclass(frozen=True, slots=True)
class Start:
    """What stands before the question: tokens to read, or a cache that holds them already."""

    ids: Sequence[int]  # of a cache's entries only their number counts
    cache: "DynamicCache | None" = None


@dataclass(frozen=True, slots=True)
class Arm:
    """`start` does all of the receiver's work before the question; `moved` is the number of bytes sent to it."""

    name: str
    start: Callable[[], Start]
    moved: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a text, and the share of its tokens that the receiver reads itself."""

    text: str
    question: str
    share: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver wrote, and the median time from the receipt of the bytes to its first token."""

    arm: str
    tokens: tuple[int, ...]
    text: str
    first_token_ms: float
    moved: int


def text_arm(model: RunningModel, name: str, text: str) -> Arm:
    """Let the receiver read a text itself; an empty one leaves it with BOS alone."""
    return Arm(name, lambda: Start([model.bos, *model.encode(text).ids]), len(text.encode()))


def own_memory_arm(model: RunningModel, name: str, packed: Packed) -> Arm:
    """Let a model continue from its own packed memory."""
    return Arm(name, lambda: start_of(model, opened(packed)), len(packed.data))


def memory_arm(
    model: RunningModel, name: str, packed: Packed, *, w_matrix: OpenedWMatrix, text: str | None = None
) -> Arm:
    """Let the receiver continue from a sender's packed memory; with `text` it knows its own tokens of the context."""

    def start() -> Start:
        known = None if text is None else target_tokens(model, text, layers=w_matrix.known_layers)
        return start_of(model, handed_over(opened(packed), w_matrix, target=known).snapshot)

    return Arm(name, start, len(packed.data) + len((text or "").encode()))


def reading_arm(model: RunningModel, name: str, packed: Packed, *, w_matrix: OpenedWMatrix, asked: Asked) -> Arm:
    """Let the receiver read what a question is about itself, at its place in the sender's memory of the rest."""

    def start() -> Start:
        known = target_tokens(model, asked.text, layers=w_matrix.known_layers)
        context = Context(known.text_spans, text=asked.text, question=asked.question)
        places = choose(context, Budget(share=asked.share)).positions
        snapshot = handed_over(opened(packed), w_matrix, target=replace(known, reread=places)).snapshot
        ids = np.asarray(known.ids)[places - 1]
        cache = read_in_place(model.network, snapshot, ids, places, tokens=known, lean=LEAN)
        return Start([model.bos] * snapshot.frame.next_position, cache)

    return Arm(name, start, len(packed.data) + len(asked.text.encode()))


def handed_over(snapshot: KVSnapshot, w_matrix: OpenedWMatrix, *, target: TargetTokens | None = None) -> Exchanged:
    """Return a sender's memory aligned to the receiver, whatever is expected of it: the demonstration shows that.

    Certificates are checked where the W-Matrix is chosen.
    """
    policy = Policy(require_certificate=False, require_inside=False)
    return exchange(snapshot, w_matrix, target=target, policy=policy)


def start_of(model: RunningModel, snapshot: KVSnapshot) -> Start:
    """Return a start from a snapshot of the model's own cache."""
    cache = cache_of(snapshot, config=model.network.config)
    return Start([model.bos] * snapshot.frame.next_position, cache)


def answered(
    model: RunningModel, arms: Sequence[Arm], question: str, *, tokens: int, repetitions: int = REPETITIONS
) -> list[Answer]:
    """Return every arm's answer."""
    asked = model.encode(question).ids
    said = [generated(model, arm.start(), asked, tokens=tokens) for arm in arms]
    times = first_token_times(model, arms, asked, repetitions=repetitions)
    return [
        Answer(arm.name, each, str(model.tokenizer.decode(each, skip_special_tokens=True)), taken, arm.moved)
        for arm, each, taken in zip(arms, said, times, strict=True)
    ]


def first_token_times(
    model: RunningModel, arms: Sequence[Arm], asked: Sequence[int], *, repetitions: int = REPETITIONS
) -> list[float]:
    """Return each arm's median time in milliseconds from its start to its first token, after a warm-up.

    Arms are timed in turns, so that other load on the machine affects all of them.
    """
    times: list[list[float]] = [[] for _ in arms]
    for _ in range(1 + repetitions):
        for arm, taken in zip(arms, times, strict=True):
            started = time.perf_counter()
            generated(model, arm.start(), asked, tokens=1)
            taken.append(MS_PER_SECOND * (time.perf_counter() - started))
    return [median(taken[1:]) for taken in times]


def generated(model: RunningModel, start: Start, asked: Sequence[int], *, tokens: int) -> tuple[int, ...]:
    """Return what the model writes greedily after a start and the question's tokens."""
    import torch

    ids = torch.tensor([[*start.ids, *asked]])
    output = model.network.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        past_key_values=start.cache,
        max_new_tokens=tokens,
        do_sample=False,
        pad_token_id=model.bos,  # nothing is padded; without one generate warns
    )
    return tuple(output[0, ids.shape[1] :].tolist())
