"""Ask paraphrased questions of a memory, of the memory with tokens read in place, of these alone, and of the text."""

import functools as ft
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from awareness_sdk.transformers_bridge import LEAN, attention_to, cache_of, read_in_place
from benchmarks.exchange.questions import Fact, Probe, asked
from benchmarks.exchange.run import ASK_ANYWAY, Direction
from benchmarks.exchange.scores import scored
from factory.demonstration.memories import read_memory
from factory.measurement.evaluation import stranger_in_place
from factory.runners.tokens import target_tokens
from kvcache.exchange.exchange import exchange
from kvcache.exchange.rereading import Context
from kvcache.exchange.rereading.choosing import Budget, choose
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from transformers import DynamicCache

    from kvcache.exchange.placement import TargetTokens
    from latentmas.protocol.snapshot import KVSnapshot

TEXT, NOTHING, MEMORY = "the text", "nothing", "the memory"
OUTWARD = -0.04  # leaning away from what was read
ALONE, STRANGER = "{plan}, alone", "{plan}, in a stranger's memory"


@dataclass(frozen=True, slots=True)
class Plan:
    """A chooser, the share of the tokens that it may choose, and how much the reader leans on them.

    `controls` asks for the same tokens as text alone, and in a stranger's memory, too.
    """

    chooser: str
    share: float
    lean: float = 0.0
    controls: bool = False

    @property
    def name(self) -> str:
        return f"{self.chooser} {self.share:g}" + (f", leaning {self.lean:g}" if self.lean else "")


PLANS = (
    # Which do not know the question, so that the answer may well stand in what is not read.
    *(Plan("mixed", 1 / 8), Plan("mixed", 1 / 4), Plan("rare", 1 / 4)),
    *(Plan("mixed", 1 / 4, OUTWARD), Plan("rare", 1 / 4, OUTWARD)),
    # Which do.
    *(Plan("words", 1 / 16, LEAN), Plan("words", 1 / 8), Plan("words", 1 / 8, LEAN, controls=True)),
    *(Plan("meaning", 1 / 8), Plan("meaning", 1 / 8, LEAN), Plan("attention", 1 / 8)),
)


@dataclass(frozen=True, slots=True)
class Known:
    """A probe as source and target know it: the aligned memory, a stranger's in its place, and the target's tokens."""

    tokens: "TargetTokens"
    aligned: "KVSnapshot"
    stranger: "KVSnapshot"

    @property
    def ids(self) -> Array:
        """The target's tokens, without BOS."""
        assert self.tokens.ids is not None
        return self.tokens.ids


def ask(
    direction: Direction, probes: Sequence[Probe], plans: Sequence[Plan], *, embed: "Callable[[Sequence[str]], Array]"
) -> dict[str, Array]:
    """Return by arm `[facts, 3]`: whether the true answer ranks first, whether it is said, and its lead in nats."""
    found: dict[str, list[tuple[bool, bool, float]]] = {}
    for number, probe in enumerate(probes):
        print(f"\r  context {number + 1} of {len(probes)}", end="", flush=True)
        known = _known(direction, probe, probes[(number + 1) % len(probes)])
        for fact in probe.facts:
            context = _context(direction, probe, known, fact, embed)
            for arm, build in _arms(direction, known, context, plans):
                found.setdefault(arm, []).append(scored(direction.target, build(), fact))
    print()
    return {arm: np.array(figures, np.float64) for arm, figures in found.items()}


def _known(direction: Direction, probe: Probe, other: Probe) -> Known:
    tokens = target_tokens(direction.target, probe.text, layers=direction.w_matrix.known_layers)
    own, foreign = (read_memory(direction.source, each.text) for each in (probe, other))
    aligned, stranger = (
        exchange(each, direction.w_matrix, target=tokens, policy=ASK_ANYWAY).snapshot
        for each in (own, stranger_in_place(own, foreign))
    )
    return Known(tokens, aligned, stranger)


def _context(
    direction: Direction, probe: Probe, known: Known, fact: Fact, embed: "Callable[[Sequence[str]], Array]"
) -> Context:
    target = direction.target
    attention = attention_to(target.network, known.aligned, asked(target, fact))
    return Context(known.tokens.text_spans, text=probe.text, question=fact.question, embed=embed, attention=attention)


def _arms(
    direction: Direction, known: Known, context: Context, plans: Sequence[Plan]
) -> "Iterator[tuple[str, Callable[[], DynamicCache]]]":
    target = direction.target
    network, config = target.network, target.network.config
    yield TEXT, lambda: target.prefill(known.ids.tolist())
    yield NOTHING, lambda: target.prefill(())
    yield MEMORY, lambda: cache_of(known.aligned, config=config)
    for plan in plans:
        places = choose(context, Budget(share=plan.share), chooser=plan.chooser).positions
        ids = known.ids[places - 1]
        read = ft.partial(read_in_place, network, token_ids=ids, positions=places, lean=plan.lean)
        yield plan.name, ft.partial(read, known.aligned)
        if not plan.controls:
            continue
        yield ALONE.format(plan=plan.name), lambda ids=ids: target.prefill(ids.tolist())
        yield STRANGER.format(plan=plan.name), ft.partial(read, known.stranger)
