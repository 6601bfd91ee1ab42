"""Plan a cold start (specification 3.2): which pairs it makes, in which order, measured or simulated. Pure."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import permutations

from latentmas.protocol.quality import Basis


@dataclass(frozen=True, slots=True)
class Candidate:
    """The facts about a model that the plan uses."""

    name: str
    family: str
    popularity: int | None
    kv_width: int | None
    latent_dimension: int | None
    can_run: bool  # its weights are at hand


@dataclass(frozen=True, slots=True)
class PlannedPair:
    source: Candidate
    target: Candidate
    basis: Basis

    @property
    def popularity(self) -> int:
        return (self.source.popularity or 0) + (self.target.popularity or 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_pairs` is the size of the batch; `min_popularity` is asked of both models of a simulated pair."""

    max_pairs: int = 50
    min_popularity: int = 75
    simulated: bool = True


def plan(
    models: Sequence[Candidate], limits: Limits, *, distilled: Collection[tuple[str, str]] = ()
) -> list[PlannedPair]:
    """Return the pairs of models of different families: those that can be run first, then by combined popularity.

    Among those that can be run, `distilled` ones, by their models' names, are first: nothing has to be fitted for them.
    """
    pairs = [
        PlannedPair(source, target, _basis(source, target))
        for source, target in permutations(models, 2)
        if source.family != target.family and _is_due(source, target, limits)
    ]

    def rank(pair: PlannedPair) -> tuple[bool, bool, int, str, str]:
        names = pair.source.name, pair.target.name
        return pair.basis is Basis.SIMULATED, names not in distilled, -pair.popularity, *names

    return sorted(pairs, key=rank)[: limits.max_pairs]


def fit_cost(source: int, target: int, *, rows: int, primal: bool) -> int:
    """Return the multiply-adds of a fit: Gram matrices and solve, primal (cubic in ds) or dual (cubic in rows)."""
    if primal:
        return rows * source * (source + target) + source**3 // 3 + source**2 * target
    return rows**2 * (source + target) + rows**3


def _basis(source: Candidate, target: Candidate) -> Basis:
    return Basis.FUNCTIONAL if source.can_run and target.can_run else Basis.SIMULATED


def _is_due(source: Candidate, target: Candidate, limits: Limits) -> bool:
    if _basis(source, target) is Basis.FUNCTIONAL:
        return True  # exempt from the popularity floor
    both: tuple[Callable[[Candidate], bool], ...] = (
        lambda model: model.latent_dimension is not None,
        lambda model: model.popularity is not None and model.popularity >= limits.min_popularity,
    )
    return limits.simulated and all(holds(model) for holds in both for model in (source, target))
