"""The artefact aggregate: the state of a stream `artefact/<id>`, and how each event changes it. Pure."""

from dataclasses import dataclass, replace

from latentmas.events.commands import Aggregate
from latentmas.events.types import Recorded
from latentmas.protocol.errors import NotFound
from latentmas.protocol.versions import parse_version
from marketplace.artefacts.events import (
    ArtefactListed,
    ArtefactQuarantined,
    ArtefactReleased,
    ArtefactWithdrawn,
    Parent,
    ParentsDeclared,
    PriceChanged,
    Segment,
    SegmentAppended,
    Terms,
    VersionPublished,
    VersionScreened,
)


@dataclass(frozen=True, slots=True)
class VersionState:
    published: VersionPublished
    screened: VersionScreened | None = None

    @property
    def offered(self) -> bool:
        """Whether its screening has found nothing against it."""
        return self.screened is not None and not (self.screened.findings or self.screened.duplicate_of)


@dataclass(frozen=True, slots=True)
class ArtefactState:
    listed: ArtefactListed | None = None
    terms: Terms | None = None
    parents: tuple[Parent, ...] = ()
    versions: tuple[VersionState, ...] = ()
    segments: tuple[Segment, ...] = ()
    withdrawn: bool = False
    quarantined: bool = False

    def version(self, name: str) -> VersionState:
        """Return the state of a version. Raises NotFound."""
        for each in self.versions:
            if each.published.version == name:
                return each
        raise NotFound(f"the artefact has no version {name!r}")

    @property
    def newest(self) -> VersionPublished | None:
        """The version with the highest number, whatever its screening says."""
        published = [each.published for each in self.versions]
        return max(published, key=lambda each: parse_version(each.version), default=None)


def evolve(state: ArtefactState, recorded: Recorded) -> ArtefactState:
    return apply(state, recorded.data)


def apply(state: ArtefactState, event: object) -> ArtefactState:
    """Return the state after one event, on record or about to be."""
    match event:
        case ArtefactListed() as listed:
            return replace(state, listed=listed, terms=listed.terms)
        case ParentsDeclared(parents=parents):
            return replace(state, parents=parents)
        case VersionPublished() as published:
            return replace(state, versions=(*state.versions, VersionState(published)))
        case SegmentAppended(segment=segment):
            return replace(state, segments=(*state.segments, segment))
        case VersionScreened() as screened:
            known = (
                replace(each, screened=screened) if each.published.version == screened.version else each
                for each in state.versions
            )
            return replace(state, versions=tuple(known))
        case PriceChanged(terms=terms):
            return replace(state, terms=terms)
        case ArtefactWithdrawn():
            return replace(state, withdrawn=True)
        case ArtefactQuarantined():
            return replace(state, quarantined=True)
        case ArtefactReleased():
            return replace(state, quarantined=False)
    return state


ARTEFACT = Aggregate("artefact", ArtefactState(), evolve)
