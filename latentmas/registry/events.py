"""Events of a model in the registry. One stream per model: `model/<name>`."""

from dataclasses import dataclass
from typing import Any

from latentmas.events.types import event
from latentmas.registry.facts import ModelFacts


@event("model.registered")
@dataclass(frozen=True, slots=True)
class ModelRegistered:
    name: str
    facts: ModelFacts
    popularity: int | None = None  # 0 to 100; None: not known


@dataclass(frozen=True, slots=True)
class FactChange:
    """One corrected fact, such as `architecture.max_context`; values are canonical plain data, decimals as text."""

    fact: str
    old: Any
    new: Any


@event("model.facts_corrected")
@dataclass(frozen=True, slots=True)
class ModelFactsCorrected:
    changes: tuple[FactChange, ...]
    reason: str


@event("model.popularity_changed")
@dataclass(frozen=True, slots=True)
class ModelPopularityChanged:
    old: int | None
    new: int | None
    reason: str


@event("model.activated")
@dataclass(frozen=True, slots=True)
class ModelActivated:
    reason: str


@event("model.deactivated")
@dataclass(frozen=True, slots=True)
class ModelDeactivated:
    reason: str
