"""Whether a fact from the first tenth of the context can still be told at its end.

Four facts ("The access code of the library is 4821.") stand in the first tenth of ordinary text; each is asked for at
the end. The answer is what the model writes next, greedily; it is right if it is the very number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from awareness_sdk.transformers_bridge import cache_of
from benchmarks.compression.arms import Arm
from benchmarks.compression.cases import read_context
from factory.codec.windows import Window
from factory.runners.model import RunningModel
from latentmas.protocol.snapshot import KVSnapshot

PLACES = (
    *("library", "museum", "bakery", "harbour", "airport", "garage", "hospital", "theatre", "stadium", "brewery"),
    *("school", "castle", "factory", "chapel", "market", "hotel", "station", "warehouse", "gallery", "laboratory"),
)
FULL = "full cache"
FACTS = 4  # in one context: asking one of them needs the right one, not just any number
LEAD = 8  # tokens of ordinary text before the facts
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """A context, and its facts as place and number."""

    context: tuple[int, ...]
    facts: tuple[tuple[str, str], ...]


def probes(model: RunningModel, windows: Sequence[Window], *, seed: int = 20260801) -> list[Probe]:
    """Return a probe for each window of ordinary text; facts end within the first tenth where they fit."""
    random = np.random.default_rng(seed)
    return [_probe(model, window, random) for window in windows]


def _probe(model: RunningModel, window: Window, random: np.random.Generator) -> Probe:
    places = random.choice(PLACES, FACTS, replace=False)
    numbers = random.choice(np.arange(10 ** (DIGITS - 1), 10**DIGITS), FACTS, replace=False)
    facts = tuple((str(place), str(number)) for place, number in zip(places, numbers, strict=True))
    text = " ".join(f"{_said(place)} {number}." for place, number in facts)
    inserted = model.encode(f"\n{text}\n").ids
    context = (*window.context[:LEAD], *inserted, *window.context[LEAD:])[: len(window.context)]
    return Probe(context, facts)


def retrieved(model: RunningModel, probe: Probe, arms: Sequence[Arm]) -> dict[str, int]:
    """Return how many of the probe's facts are told, with the full cache and with what each arm leaves of it."""
    context = read_context(model, probe.context)
    restored: dict[str, KVSnapshot] = {FULL: context.snapshot}
    for arm in arms:
        if (outcome := arm.run(context)) is not None:
            restored[arm.name] = outcome.restored
    return {name: sum(_told(model, each, *fact) for fact in probe.facts) for name, each in restored.items()}


def _told(model: RunningModel, snapshot: KVSnapshot, place: str, number: str) -> bool:
    cache, position = cache_of(snapshot), snapshot.frame.next_position
    ids: Sequence[int] = model.encode(f"\n{_said(place)}").ids
    answer: list[int] = []
    for _ in range(DIGITS + 2):  # a space and digits, one token each in both models
        likely = model.log_probabilities(cache, ids, first_position=position)[-1]
        position += len(ids)
        ids = [int(likely.argmax())]
        answer += ids
        if (text := model.tokenizer.decode(answer).strip()) and not number.startswith(text):
            return False
        if text == number:
            return True
    return False


def _said(place: str) -> str:
    return f"The access code of the {place} is"
