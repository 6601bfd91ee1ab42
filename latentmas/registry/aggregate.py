"""The state of one model, folded from its events, and which of its facts a curator has decided."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from latentmas.events.commands import Aggregate
from latentmas.events.types import Envelope
from latentmas.registry import facts as model_facts
from latentmas.registry.events import (
    ModelActivated,
    ModelDeactivated,
    ModelFactsCorrected,
    ModelPopularityChanged,
    ModelRegistered,
)
from latentmas.registry.facts import ModelFacts

LOADER = "command:load_registry"
POPULARITY = "popularity"
ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is known about one model. `curated` names the facts last decided by somebody other than the loader."""

    facts: ModelFacts | None = None  # None: not registered
    popularity: int | None = None
    active: bool = False
    inactive_reason: str = ""
    curated: frozenset[str] = frozenset()


def evolve(state: ModelState, event: Envelope) -> ModelState:
    """Return the state after one more event."""
    by_loader = event.metadata.actor == LOADER

    def decided(names: Iterable[str]) -> frozenset[str]:
        return state.curated - set(names) if by_loader else state.curated | set(names)

    match event.data:
        case ModelRegistered(facts=facts, popularity=popularity):
            everything = (*model_facts.NAMES, POPULARITY, ACTIVE)
            return ModelState(facts=facts, popularity=popularity, active=True, curated=decided(everything))
        case ModelFactsCorrected(changes=changes) if state.facts is not None:
            facts = model_facts.with_changes(state.facts, {change.fact: change.new for change in changes})
            return replace(state, facts=facts, curated=decided(change.fact for change in changes))
        case ModelPopularityChanged(new=popularity):
            return replace(state, popularity=popularity, curated=decided([POPULARITY]))
        case ModelActivated():
            return replace(state, active=True, inactive_reason="", curated=decided([ACTIVE]))
        case ModelDeactivated(reason=reason):
            return replace(state, active=False, inactive_reason=reason, curated=decided([ACTIVE]))
    return state


MODEL = Aggregate(prefix="model", empty=ModelState(), evolve=evolve)
