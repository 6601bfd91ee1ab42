"""Publish what a seller offers: the file, his terms, and his word about his rights.

A version waits for its screening before it is offered.
"""

import functools as ft
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from latentmas.events import store
from latentmas.events.commands import execute
from latentmas.events.transactions import transact
from latentmas.events.types import Recorded
from latentmas.jobs.commands import start
from latentmas.protocol.errors import InvalidInput, NotFound
from latentmas.protocol.versions import parse_version
from marketplace.artefacts import decisions
from marketplace.artefacts.aggregate import ARTEFACT, ArtefactState, apply
from marketplace.artefacts.events import ArtefactListed, Parent, Terms, VersionPublished
from marketplace.artefacts.lineage import ancestors_of, decide_parents
from marketplace.artefacts.made import Made
from marketplace.artefacts.models import Artefact
from marketplace.artefacts.texts import TEXTS
from marketplace.listings.commands import require_stored
from marketplace.listings.lifecycle.commands import By
from marketplace.memories.models import StoredMemory
from marketplace.sales.goods import Kind
from marketplace.texts.free_text import FreeText

SCREEN = "memory.screen"  # the kind of the job that screens a version
FIRST_VERSION = "1.0.0"


@dataclass(frozen=True, slots=True)
class Offered:
    """What a seller says of an artefact."""

    kind: Kind
    title: str
    description: str
    terms: Terms


@dataclass(frozen=True, slots=True)
class Said:
    """What a seller says of a version. `parents` None leaves those that are declared."""

    version: str
    rights: str
    invertible: bool
    parents: tuple[Parent, ...] | None = None


def list_artefact(offered: Offered, said: Said, made: Made, *, by: By) -> str:
    """List an artefact with its first version, and start the version's screening: all of it or nothing.

    Returns its id. Raises InvalidInput, RightsNotStated, NotFound for an unknown parent, LineageCycle or
    RoyaltiesTooHigh.
    """
    assert by.agent is not None  # a seller is an agent
    listed = ArtefactListed(
        artefact_id=str(uuid4()),
        kind=offered.kind,
        model=made.contents.model,
        seller=by.agent,
        title=FreeText(offered.title),
        description=FreeText(offered.description),
        terms=offered.terms,
    )
    decide = _decide(said, made, by)

    def opened(state: ArtefactState) -> Sequence[object]:
        events = decisions.decide_list(state, listed)
        return [*events, *decide(ft.reduce(apply, events, state))]

    _publish(listed.artefact_id, opened, said, made, by)
    return listed.artefact_id


def publish_version(artefact_id: str, said: Said, made: Made, *, by: By) -> list[Recorded]:
    """Publish another version, and start its screening: all of it or nothing; the same again records nothing.

    Raises what `list_artefact` does, NotFound, NotYourArtefact, ArtefactIsQuarantined, ArtefactWithdrawnError, Conflict
    or VersionConflict.
    """
    return _publish(artefact_id, _decide(said, made, by), said, made, by)


def next_version(version: str) -> str:
    """Return the version after one to which segments were appended: the minor number counts them."""
    number = parse_version(version)
    return f"{number.major}.{number.minor + 1}.0"


def _decide(said: Said, made: Made, by: By) -> Callable[[ArtefactState], Sequence[object]]:
    rights = decisions.check_rights(said.rights, invertible=said.invertible)
    published = VersionPublished(said.version, made.file, made.contents, made.canary)

    def decide(state: ArtefactState) -> Sequence[object]:
        events: list[object] = []
        if said.parents is not None:
            lines = ancestors_of(each.artefact_id for each in said.parents)
            ancestors = [each.artefact_id for each in lines]
            events.extend(decide_parents(state, by.agent, parents=said.parents, ancestors=ancestors))
        versions = decisions.decide_publish(state, by.agent, published=published, rights=rights)
        if versions and made.segments:
            events.extend(decisions.decide_append(state, version=said.version, segments=made.segments))
        return [*events, *versions]

    return decide


def _publish(
    artefact_id: str, decide: Callable[[ArtefactState], Sequence[object]], said: Said, made: Made, by: By
) -> list[Recorded]:
    require_stored(made.file, "file")

    def work() -> list[Recorded]:
        _lock_lineage(artefact_id, said)
        _keep(made)
        recorded = execute(
            ARTEFACT,
            artefact_id,
            lambda state: TEXTS.seal(artefact_id, decide(state)),
            metadata=by.metadata,
            expected=by.expected,
        )
        if any(isinstance(each.data, VersionPublished) for each in recorded):
            arguments = {"artefact_id": artefact_id, "version": said.version}
            start(SCREEN, arguments=arguments, requested_by=by.metadata.actor, patient=True)
        return recorded

    return transact(work, conflicts=by.expected is None)


def _lock_lineage(artefact_id: str, said: Said) -> None:
    """Hold all whose parents decide about a cycle, so that no two declarations close one together.

    Raises NotFound for an unknown parent.
    """
    parents = {each.artefact_id for each in said.parents or ()}
    known = set(Artefact.objects.filter(id__in=parents).values_list("id", flat=True))
    if missing := sorted(parents - known):
        raise NotFound(f"there is no artefact {missing[0]!r} to be a parent", field="parents")
    ancestors = {each.artefact_id for each in ancestors_of(parents)}
    store.lock_streams([ARTEFACT.stream(each) for each in sorted({artefact_id, *parents, *ancestors})])


def _keep(made: Made) -> None:
    """Hold the stored memories until their files are named by events: a deletion waits, and then leaves the files.

    Raises InvalidInput where one was deleted meanwhile.
    """
    wanted = sorted({row.id for row in made.sources})
    rows = StoredMemory.objects.select_for_update().filter(id__in=wanted).order_by("id")
    if len(rows) != len(wanted):
        raise InvalidInput("the stored memory was deleted meanwhile", field="memory")
