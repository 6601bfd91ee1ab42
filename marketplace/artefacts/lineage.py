"""What an artefact is made from: its ancestors, and what they get of its sales."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from latentmas.protocol.errors import InvalidInput
from marketplace.artefacts.aggregate import ArtefactState
from marketplace.artefacts.decisions import require_open
from marketplace.artefacts.errors import LineageCycle, RoyaltiesTooHigh
from marketplace.artefacts.events import Parent, ParentsDeclared
from marketplace.artefacts.models import Artefact, ArtefactParent
from marketplace.sales.goods import Royalty

GENERATIONS = 3  # that get royalties; the lineage itself goes on
PARENTS = 10
WHOLE = 10_000  # basis points
# Of the price, of all parents together: with the share of a W-Matrix that helps to deliver, half of a creator's 80 %.
MAX_ROYALTIES = 3000  # basis points
ANCESTORS = 1000  # a lineage is read up to so many


@dataclass(frozen=True, slots=True)
class Relative:
    """An artefact of a lineage; `generation` 1 are the parents, -1 the children."""

    artefact_id: str
    child_id: str  # by which it was reached
    generation: int
    basis_points: int  # that the child's seller declared for its parent


def decide_parents(
    state: ArtefactState, agent: str | None, *, parents: tuple[Parent, ...], ancestors: Iterable[str]
) -> Sequence[object]:
    """Declare the parents of an artefact; the same again gives no event. `ancestors` are those of the parents.

    Raises what `require_open` does, LineageCycle, RoyaltiesTooHigh or InvalidInput.
    """
    listed = require_open(state, agent)
    names = [each.artefact_id for each in parents]
    if len(set(names)) != len(names):
        raise InvalidInput("a parent is named twice", field="parents")
    if len(names) > PARENTS:
        raise InvalidInput(f"an artefact has at most {PARENTS} parents", field="parents")
    if listed.artefact_id in {*names, *ancestors}:
        raise LineageCycle("a parent descends from this artefact, or is this artefact itself", field="parents")
    if any(each.basis_points < 0 for each in parents):
        raise InvalidInput("a royalty is not below zero", field="parents")
    if (total := sum(each.basis_points for each in parents)) > MAX_ROYALTIES:
        raise RoyaltiesTooHigh(
            f"the parents get {total} basis points of the price; the bound is {MAX_ROYALTIES}",
            field="parents",
            limit=MAX_ROYALTIES,
        )
    return () if parents == state.parents else (ParentsDeclared(parents),)


def ancestors_of(artefact_ids: Iterable[str], *, generations: int | None = None) -> list[Relative]:
    """Return what the artefacts are made from, the nearest first; one query a generation."""
    return _related(artefact_ids, step=1, generations=generations)


def descendants_of(artefact_ids: Iterable[str], *, generations: int | None = None) -> list[Relative]:
    """Return what is made from the artefacts, the nearest first; one query a generation."""
    return _related(artefact_ids, step=-1, generations=generations)


def royalties_of(artefact_id: str) -> tuple[Royalty, ...]:
    """Return what the ancestors get of a sale, up to GENERATIONS.

    A parent passes on of its royalty what it owes to its own parents, so that all together get no more than what the
    artefact's own seller has declared.
    """
    lines = ancestors_of([artefact_id], generations=GENERATIONS)
    sellers = dict(Artefact.objects.filter(id__in={each.artefact_id for each in lines}).values_list("id", "seller"))
    found = shares(artefact_id, lines)
    return tuple(Royalty(sellers[item], item, points) for item, points in sorted(found.items()) if points)


def shares(artefact_id: str, lines: Sequence[Relative]) -> Mapping[str, int]:
    """Return the basis points of each ancestor; pure. What division leaves over stays with the nearer one."""
    found: dict[str, int] = {}
    arrived = {artefact_id: WHOLE}
    for generation in sorted({each.generation for each in lines}):
        passed: dict[str, int] = {}
        for line in (each for each in lines if each.generation == generation):
            amount = arrived[line.child_id] * line.basis_points // WHOLE
            passed[line.artefact_id] = passed.get(line.artefact_id, 0) + amount
            found[line.artefact_id] = found.get(line.artefact_id, 0) + amount
            if line.child_id != artefact_id:
                found[line.child_id] -= amount
        arrived = passed
    return found


def _related(artefact_ids: Iterable[str], *, step: int, generations: int | None) -> list[Relative]:
    here, there = ("child_id", "parent_id") if step == 1 else ("parent_id", "child_id")
    level, found, generation = set(artefact_ids), list[Relative](), 0
    while level and len(found) < ANCESTORS and (generations is None or abs(generation) < generations):
        generation += step
        rows = ArtefactParent.objects.filter(**{f"{here}__in": level}).order_by("child_id", "parent_id")
        next_level = set()
        for row in rows:
            next_level.add(getattr(row, there))
            found.append(Relative(getattr(row, there), getattr(row, here), generation, row.basis_points))
        level = next_level
    return found
