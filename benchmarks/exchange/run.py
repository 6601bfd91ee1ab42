"""Ask the probes of every arm in one direction, and sum up what the arms knew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from transformers import DynamicCache

from awareness_sdk.transformers_bridge import cache_of
from benchmarks.exchange.questions import Probe
from benchmarks.exchange.scores import scored
from factory.demonstration.memories import Packed, opened, pack, read_memory
from factory.measurement.evaluation import stranger_in_place
from factory.runners.model import RunningModel
from factory.runners.tokens import target_tokens
from kvcache.exchange.exchange import Exchanged, exchange
from kvcache.exchange.mapping import OpenedWMatrix
from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.policy import Policy
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

RESAMPLES, SEED = 4000, 20260801
MEMORY, TEXT, NOTHING, WRONG = "memory", "text", "nothing", "wrong document"
STRANGER = "own tokens, a stranger's memory"  # what the tokens give by themselves
BY_TOKENS = ", tokens known"  # the text is: spans and first layer of the target's own tokens
RANKED, SAID, LEAD = range(3)  # figures of a fact
# What falls outside the calibrated distribution is asked too, and counted.
ASK_ANYWAY = Policy(require_certificate=False, require_inside=False)


@dataclass(frozen=True, slots=True)
class Direction:
    source: RunningModel
    target: RunningModel
    w_matrix: OpenedWMatrix
    method: str  # of packing: "auto" or "raw"

    @property
    def name(self) -> str:
        return f"{self.source.name} -> {self.target.name}"

    def packed(self, probe: Probe) -> Packed:
        return pack(read_memory(self.source, probe.text), model=self.source, method=self.method)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One context: by arm `[facts, 3]` of (ranked first, said greedily, lead in nats), and the bytes that moved."""

    paired: bool
    found: dict[str, Array]
    moved: dict[str, int]
    inside: bool | None  # the calibrated distribution; None where the W-Matrix states none


def ask(direction: Direction, probes: Sequence[Probe]) -> list[Outcome]:
    """Ask each probe of every arm. The wrong document is the next probe's context."""
    packed = [direction.packed(probe) for probe in probes]
    outcomes = []
    for number, probe in enumerate(probes):
        print(f"\r  context {number + 1} of {len(probes)}", end="", flush=True)
        other = (number + 1) % len(probes)
        memories = packed[number], packed[other]
        outcomes.append(_asked(direction, probe, memories, stranger=probes[other]))
    print()
    return outcomes


def _asked(direction: Direction, probe: Probe, memories: tuple[Packed, Packed], *, stranger: Probe) -> Outcome:
    """Ask one probe; `memories` are the source's of its text and of the stranger's."""
    memory, theirs = memories
    target = direction.target
    layers = direction.w_matrix.known_layers
    tokens, others = (target_tokens(target, each, layers=layers) for each in (probe.text, stranger.text))
    own, foreign = opened(memory), opened(theirs)

    def handed(snapshot: KVSnapshot, known: TargetTokens | None) -> Exchanged:
        return exchange(snapshot, direction.w_matrix, target=known, policy=ASK_ANYWAY)

    aligned = handed(own, None)
    caches: dict[str, Callable[[], DynamicCache]] = {
        MEMORY: lambda: cache_of(aligned.snapshot),
        MEMORY + BY_TOKENS: lambda: cache_of(handed(own, tokens).snapshot),
        TEXT: lambda: target.prefill(target.encode(probe.text).ids),
        NOTHING: lambda: target.prefill(()),
        WRONG: lambda: cache_of(handed(foreign, None).snapshot),
        WRONG + BY_TOKENS: lambda: cache_of(handed(foreign, others).snapshot),
        STRANGER: lambda: cache_of(handed(stranger_in_place(own, foreign), tokens).snapshot),
    }
    text, other = (len(each.text.encode()) for each in (probe, stranger))
    ours, foreigns = len(memory.data), len(theirs.data)
    sizes = (ours, ours + text, text, 0, foreigns, foreigns + other, foreigns + text)
    return Outcome(
        paired=probe.paired,
        found={arm: _answers(target, build(), probe) for arm, build in caches.items()},
        moved=dict(zip(caches, sizes, strict=True)),
        inside=aligned.quality.inside,
    )


def _answers(target: RunningModel, cache: DynamicCache, probe: Probe) -> Array:
    return np.array([scored(target, cache, fact) for fact in probe.facts], np.float64)


def rows(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """Return a line for each arm: the share of answers ranked first and said, with intervals over the contexts."""
    lines: list[dict[str, object]] = []
    for arm in outcomes[0].found:
        figures = np.stack([each.found[arm] for each in outcomes])  # [contexts, facts, 3]
        paired = np.array([each.paired for each in outcomes])
        share, low, high = _interval(figures[:, :, RANKED].mean(axis=1))
        lines.append(
            {
                "arm": arm,
                "ranked first": share,
                "low": low,
                "high": high,
                "one of a kind": _share(figures[~paired]),
                "paired": _share(figures[paired]),
                "said": float(figures[:, :, SAID].mean()),
                "lead (nats)": float(figures[:, :, LEAD].mean()),
                "bytes": round(float(np.mean([each.moved[arm] for each in outcomes]))),
            }
        )
    return lines


def outside(outcomes: Sequence[Outcome]) -> int | None:
    """Return how many memories lie outside the calibrated distribution; None where the W-Matrix states none."""
    judged = [each.inside for each in outcomes if each.inside is not None]
    return judged.count(False) if judged else None


def _share(figures: Array) -> float | None:
    return float(figures[:, :, RANKED].mean()) if len(figures) else None


def _interval(shares: Array) -> tuple[float, float, float]:
    """Return the mean and its 95 % interval: a bootstrap over contexts, whose facts are not independent."""
    draws = np.random.default_rng(SEED).integers(0, len(shares), (RESAMPLES, len(shares)))
    low, high = np.quantile(shares[draws].mean(axis=1), [0.025, 0.975])
    return float(shares.mean()), float(low), float(high)
