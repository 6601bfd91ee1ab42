"""The listing aggregate: the state of a stream `listing/<id>`, and the events that each command appends. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import NAMESPACE_URL, UUID, uuid5

from latentmas.events.commands import Aggregate
from latentmas.events.types import Recorded
from latentmas.protocol.errors import Conflict, InvalidInput, NotFound
from latentmas.protocol.quality import Basis
from latentmas.protocol.versions import parse_version
from latentmas.protocol.w_matrix import Space
from marketplace.listings.events.certification import (
    CertificateRevoked,
    VersionCertified,
    VersionMeasured,
    VersionRecertified,
    VersionRefused,
)
from marketplace.listings.events.listing import ListingCreated, VersionPublished, VersionYanked
from marketplace.listings.lifecycle_state import Lifecycle, evolve_lifecycle
from marketplace.listings.validation import check_listing, check_publication
from marketplace.texts.free_text import FreeText

CertificationDecision = VersionCertified | VersionRefused
NAMESPACE = uuid5(NAMESPACE_URL, "https://latentmas.org/listings")


@dataclass(frozen=True, slots=True)
class VersionState:
    """A version; `judged` is the measurement that the last decision rests on, `revoked` why its certificate is void."""

    published: VersionPublished
    measured: VersionMeasured | None = None
    decision: CertificationDecision | None = None
    judged: VersionMeasured | None = None
    revoked: FreeText | None = None
    recertified: tuple[VersionRecertified, ...] = ()  # the last one of each validator
    yanked: bool = False


@dataclass(frozen=True, slots=True)
class ListingState:
    created: ListingCreated | None = None
    versions: tuple[VersionState, ...] = ()
    lifecycle: Lifecycle = field(default_factory=Lifecycle)

    def version(self, name: str) -> VersionState:
        """Return the state of a version. Raises NotFound."""
        for each in self.versions:
            if each.published.version == name:
                return each
        raise NotFound(f"the listing has no version {name!r}")


def listing_id_for(*, source: str, target: str, seller: str, basis: Basis, space: Space = Space.KV_CACHE) -> str:
    """Return the listing's id, a UUIDv5 of pair, seller, basis and space, so that a second run makes nothing twice.

    The space is left out of it for KV-caches, whose ids are older than the other spaces.
    """
    parts = (source, target, seller, basis.value)
    return str(uuid5(NAMESPACE, "\n".join(parts if space is Space.KV_CACHE else (*parts, space.value))))


def evolve(state: ListingState, recorded: Recorded) -> ListingState:
    state = replace(state, lifecycle=evolve_lifecycle(state.lifecycle, recorded.data))
    match recorded.data:
        case ListingCreated() as created:
            return replace(state, created=created)
        case VersionPublished() as published:
            return replace(state, versions=(*state.versions, VersionState(published)))
        case VersionMeasured() as measured:
            return _with(state, measured.version, measured=measured, recertified=(), **_freed(state, measured.version))
        case VersionCertified() | VersionRefused() as decision:
            judged = state.version(decision.version).measured
            return _with(state, decision.version, decision=decision, judged=judged, revoked=None)
        case CertificateRevoked() as revoked:
            return _with(state, revoked.version, revoked=revoked.reason)
        case VersionRecertified() as mine:
            before = state.version(mine.version).recertified
            others = tuple(each for each in before if each.validator != mine.validator)
            return _with(state, mine.version, recertified=(*others, mine))
        case VersionYanked() as yanked:
            return _with(state, yanked.version, yanked=True)
    return state


LISTING = Aggregate("listing", ListingState(), evolve)


def decide_create(state: ListingState, created: ListingCreated) -> Sequence[object]:
    """Open the listing; the same listing again, whatever its texts, gives no event. Raises InvalidInput or Conflict."""
    check_listing(created)
    _check_id(created.listing_id)
    if state.created is not None and _same(state.created, created):
        return ()
    if state.created is not None:
        raise Conflict(f"the listing {created.listing_id} exists already, with other contents")
    return (created,)


def decide_publish(state: ListingState, published: VersionPublished) -> Sequence[object]:
    """Add a version above the last one of its major version; the same version again gives no event.

    Raises NotFound, InvalidInput or Conflict.
    """
    if state.created is None:
        raise NotFound("there is no such listing", resolution="Create the listing first.")
    wanted = parse_version(published.version)
    check_publication(published)
    if published.space is not state.created.space:
        raise InvalidInput(
            f"the version maps {published.space.value} vectors, its listing {state.created.space.value} ones",
            field="space",
        )
    if any(each.published == published for each in state.versions):
        return ()
    rivals = [
        number for each in state.versions if (number := parse_version(each.published.version)).major == wanted.major
    ]
    if rivals and wanted <= (last := max(rivals)):
        what = "exists already, with another file" if wanted in rivals else f"is lower than {last}"
        raise Conflict(
            f"version {wanted} {what}; {last} is the last one of major version {wanted.major}",
            resolution=f"A file never changes: publish another one above {last}, such as "
            f"{replace(last, patch=last.patch + 1)}.",
        )
    return (published,)


def _same(known: ListingCreated, created: ListingCreated) -> bool:
    """Compare without the texts: what is on record only commits to them."""
    texts = {name: getattr(created, name) for name in ("title", "description", "statement")}
    return replace(known, **texts) == created


def _with(state: ListingState, version: str, **changes: object) -> ListingState:
    return replace(
        state,
        versions=tuple(
            replace(each, **changes) if each.published.version == version else each  # type: ignore[arg-type]
            for each in state.versions
        ),
    )


def _freed(state: ListingState, version: str) -> dict[str, object]:
    """A new measurement of a version whose certificate is revoked waits for a new decision."""
    return {} if state.version(version).revoked is None else {"decision": None, "judged": None, "revoked": None}


def _check_id(text: str) -> None:
    try:
        canonical = str(UUID(text))
    except ValueError:
        canonical = None
    if text != canonical:
        raise InvalidInput(f"{text!r} is not a UUID in its lower-case form", field="listing_id")
