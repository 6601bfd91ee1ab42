"""What may happen to a listing after its publication: state + command -> events. Pure.

`agent` is who asks for the change. None is a curator or the operator: whoever calls has checked that permission.
"""

import re
from collections.abc import Sequence
from enum import Enum

from latentmas.protocol.errors import Conflict, InvalidInput, NotFound
from latentmas.protocol.money import Money, Split
from latentmas.protocol.versions import parse_version
from marketplace.listings.aggregate import ListingState, VersionState
from marketplace.listings.errors import ListingIsDelisted, ListingIsQuarantined, NotAllowed
from marketplace.listings.events import lifecycle as life
from marketplace.listings.events.lifecycle import Access, Role
from marketplace.listings.events.listing import VersionYanked
from marketplace.listings.validation import check_price
from marketplace.texts.checks import check_reason

Events = Sequence[object]
ALIAS = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
ALIASES = 20
LISTING_ID_CHARACTERS = 36
# The creator may pass on a part of what is his, and takes nothing from the others.
SPLIT_BOUNDS = {"creator": (50, 80), "platform": (15, 45), "validators": (5, 35)}  # per cent


class Right(Enum):
    """What a change needs of the agent that asks for it."""

    PUBLISH = frozenset({Role.PUBLISHER, Role.MAINTAINER})
    MANAGE = frozenset({Role.MAINTAINER})
    OWN = frozenset[Role]()


def require_right(state: ListingState, agent: str | None, right: Right) -> None:
    """Raise NotFound where there is no such listing for the agent, NotAllowed where it lacks the right."""
    lifecycle = state.lifecycle
    hidden = agent is not None and lifecycle.access is Access.PRIVATE and not lifecycle.is_member(agent)
    if state.created is None or hidden:
        raise NotFound("there is no such listing", resolution="Browse GET /api/w-matrices.")
    if agent is None or agent == lifecycle.owner or lifecycle.collaborators.get(agent) in right.value:
        return
    who = " or ".join(["its owner", *(f"a {role.value}" for role in sorted(right.value))])
    raise NotAllowed(f"only {who} may change this of the listing", resolution="Ask its owner to do it.")


def require_open(state: ListingState) -> None:
    """Raise ListingIsQuarantined or ListingIsDelisted."""
    if state.lifecycle.quarantined:
        raise ListingIsQuarantined("the listing is in quarantine; nothing of it changes until a curator releases it")
    if state.lifecycle.delisted:
        raise ListingIsDelisted("the listing was delisted, for good")


def decide_scanned(state: ListingState, *, version: str, reasons: tuple[str, ...]) -> Events:
    """Record what a scan found, once. Raises NotFound, or Conflict for a version that needs no scan."""
    state.version(version)
    if version not in state.lifecycle.scans:
        raise Conflict(f"version {version} needs no scan: it was made here")
    return () if state.lifecycle.scans[version] is not None else (life.VersionScanned(version, reasons),)


def decide_yank(state: ListingState, agent: str | None, *, version: str, reason: str) -> Events:
    """Withdraw the version, once. Raises NotFound, NotAllowed, InvalidInput, Conflict or ListingIsQuarantined."""
    require_right(state, agent, Right.MANAGE)
    _require_not_quarantined(state, agent)
    if state.version(version).yanked:
        raise Conflict(f"version {version} is yanked already")
    return (VersionYanked(version=version, reason=check_reason(reason)),)


def decide_deprecate(
    state: ListingState, agent: str | None, *, version: str, reason: str, successor: str | None
) -> Events:
    """Advise another version; `successor` is one of the listing that is on offer, or `<listing>/<version>`.

    Raises NotFound, NotAllowed, InvalidInput or Conflict.
    """
    require_right(state, agent, Right.MANAGE)
    require_open(state)
    _offered(state, version)
    if successor is not None:
        _check_successor(state, version, successor)
    if version in state.lifecycle.deprecated and state.lifecycle.deprecated[version] == successor:
        raise Conflict(f"version {version} is deprecated already, with the same successor")
    return (life.VersionDeprecated(version, check_reason(reason), successor),)


def decide_alias(state: ListingState, agent: str | None, *, name: str, version: str) -> Events:
    """Let an alias name a version that is on offer. Raises NotFound, NotAllowed, InvalidInput or Conflict."""
    require_right(state, agent, Right.PUBLISH)
    require_open(state)
    if ALIAS.fullmatch(name) is None:
        raise InvalidInput(
            f"{name!r} is no name for an alias: at most 32 lower-case letters, digits and hyphens, such as stable",
            field="name",
        )
    aliases = state.lifecycle.aliases
    if name not in aliases and len(aliases) >= ALIASES:
        raise Conflict(f"the listing has {ALIASES} aliases, the limit", resolution="Move one of them.")
    _offered(state, version)
    return () if aliases.get(name) == version else (life.AliasMoved(name, version),)


def decide_price(state: ListingState, agent: str | None, *, price: Money) -> Events:
    """Change the price of later sales. Raises NotFound, NotAllowed, InvalidInput or Conflict."""
    require_right(state, agent, Right.MANAGE)
    require_open(state)
    check_price(price)
    return () if price == state.lifecycle.price else (life.PriceChanged(price),)


def decide_split(state: ListingState, agent: str | None, *, split: Split) -> Events:
    """Change the split of later sales. Raises NotFound, NotAllowed, InvalidInput or Conflict."""
    require_right(state, agent, Right.OWN)
    require_open(state)
    check_split(split)
    return () if split == state.lifecycle.split else (life.SplitChanged(split),)


def decide_quarantine(state: ListingState, agent: None, *, reason: str) -> Events:
    """Stop the listing. Raises NotFound, InvalidInput or Conflict."""
    require_right(state, agent, Right.OWN)
    if state.lifecycle.quarantined:
        raise Conflict("the listing is in quarantine already")
    return (life.ListingQuarantined(check_reason(reason)),)


def decide_release(state: ListingState, agent: None, *, reason: str) -> Events:
    """End the quarantine. Raises NotFound, InvalidInput or Conflict."""
    require_right(state, agent, Right.OWN)
    if not state.lifecycle.quarantined:
        raise Conflict("the listing is not in quarantine")
    return (life.ListingReleased(check_reason(reason)),)


def decide_delist(state: ListingState, agent: str | None, *, reason: str) -> Events:
    """End the offer for good. Raises NotFound, NotAllowed, InvalidInput, ListingIsQuarantined or ListingIsDelisted."""
    require_right(state, agent, Right.OWN)
    require_open(state)
    return (life.ListingDelisted(check_reason(reason)),)


def check_split(split: Split) -> None:
    """Raise InvalidInput for shares that do not add up to 100 per cent, or lie outside their bounds."""
    shares = {name: getattr(split, name) for name in SPLIT_BOUNDS}
    if (total := sum(shares.values())) != 100:
        raise InvalidInput(f"the shares add up to {total} per cent; they must add up to 100", field="split")
    for name, (low, high) in SPLIT_BOUNDS.items():
        if not low <= shares[name] <= high:
            raise InvalidInput(
                f"the share of {name} is {shares[name]} per cent; it must lie between {low} and {high}",
                field=f"split.{name}",
            )


def _require_not_quarantined(state: ListingState, agent: str | None) -> None:
    """A curator may yank in quarantine, and what was delisted can still turn out to be harmful."""
    if agent is not None and state.lifecycle.quarantined:
        require_open(state)


def _offered(state: ListingState, version: str) -> VersionState:
    """Return a version that is on offer. Raises NotFound or Conflict."""
    found = state.version(version)
    if found.yanked or not state.lifecycle.offers(version):
        why = "was yanked" if found.yanked else "has not passed its scan"
        raise Conflict(f"version {version} is not on offer: it {why}", resolution="Name a version that is on offer.")
    return found


def _check_successor(state: ListingState, version: str, successor: str) -> None:
    """Another listing's version is not looked up: it may be private, or go away later."""
    listing, _, number = successor.rpartition("/")
    parse_version(number)
    if len(listing) > LISTING_ID_CHARACTERS:
        raise InvalidInput(f"{successor!r} is neither a version nor <listing>/<version>", field="successor")
    if not listing:
        if successor == version:
            raise InvalidInput("a version cannot be its own successor", field="successor")
        _offered(state, successor)
