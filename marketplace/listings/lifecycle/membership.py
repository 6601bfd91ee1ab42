"""Who works on a listing, and who sees it or gets its files: state + command -> events. Pure."""

import re

from latentmas.protocol.errors import Conflict, InvalidInput, NotFound
from marketplace.listings.aggregate import ListingState
from marketplace.listings.events import lifecycle as life
from marketplace.listings.events.lifecycle import Access, Role
from marketplace.listings.lifecycle.decisions import Events, Right, require_open, require_right
from marketplace.texts.checks import check_reason

AGENT = re.compile(r"[A-Za-z0-9:_.-]{1,100}", re.ASCII)
COLLABORATORS = 50
GRANTED = 1000
ASKING = 1000


def decide_collaborator(state: ListingState, agent: str | None, *, who: str, role: Role) -> Events:
    """Give an agent a role. Raises NotFound, NotAllowed, InvalidInput or Conflict."""
    require_right(state, agent, Right.OWN)
    require_open(state)
    collaborators = state.lifecycle.collaborators
    if check_agent(who) == state.lifecycle.owner:
        raise Conflict("the owner may do everything already")
    if who not in collaborators and len(collaborators) >= COLLABORATORS:
        raise Conflict(f"the listing has {COLLABORATORS} collaborators, the limit", resolution="Remove one first.")
    return () if collaborators.get(who) is role else (life.CollaboratorAdded(who, role),)


def decide_remove(state: ListingState, agent: str | None, *, who: str) -> Events:
    """Take an agent's role away; a collaborator may go by itself. Raises NotFound or NotAllowed."""
    if agent != who or who not in state.lifecycle.collaborators:
        require_right(state, agent, Right.OWN)
    require_open(state)
    if who not in state.lifecycle.collaborators:
        raise NotFound(f"{who!r} does not work on the listing")
    return (life.CollaboratorRemoved(who),)


def decide_access(state: ListingState, agent: str | None, *, access: Access) -> Events:
    """Open or close the listing. Raises NotFound, NotAllowed or a Conflict."""
    require_right(state, agent, Right.OWN)
    require_open(state)
    return () if state.lifecycle.access is access else (life.AccessChanged(access),)


def decide_request(state: ListingState, agent: str, *, message: str) -> Events:
    """Ask for a gated listing's files; a second time records nothing. Raises NotFound, InvalidInput or Conflict."""
    lifecycle = state.lifecycle
    if state.created is None or (lifecycle.access is Access.PRIVATE and not lifecycle.is_member(agent)):
        raise NotFound("there is no such listing", resolution="Browse GET /api/w-matrices.")
    require_open(state)
    if lifecycle.is_member(agent) or lifecycle.access is Access.PUBLIC:
        raise Conflict("you have access already", resolution="GET the version's file.")
    if agent in lifecycle.asking:
        return ()
    if len(lifecycle.asking) >= ASKING:
        raise Conflict(f"{ASKING} requests wait for the seller already", resolution="Ask again later.")
    return (life.AccessRequested(agent, check_reason(message, "message") if message.strip() else None),)


def decide_grant(state: ListingState, agent: str | None, *, who: str) -> Events:
    """Let an agent see the listing and get its files, whether it asked or not.

    Raises NotFound, NotAllowed, InvalidInput or Conflict.
    """
    require_right(state, agent, Right.MANAGE)
    require_open(state)
    if len(state.lifecycle.granted) >= GRANTED:
        raise Conflict(f"{GRANTED} agents have access, the limit", resolution="Make the listing public.")
    return () if check_agent(who) in state.lifecycle.granted else (life.AccessGranted(who),)


def decide_refuse(state: ListingState, agent: str | None, *, who: str, reason: str) -> Events:
    """Refuse a request, or withdraw what was granted. Raises NotFound, NotAllowed, InvalidInput or Conflict."""
    require_right(state, agent, Right.MANAGE)
    require_open(state)
    if who not in state.lifecycle.asking | state.lifecycle.granted:
        raise NotFound(f"{who!r} has neither asked for access nor been granted it")
    return (life.AccessRefused(who, check_reason(reason)),)


def check_agent(text: str) -> str:
    """Return the id of an agent. Raises InvalidInput."""
    if AGENT.fullmatch(text) is None:
        raise InvalidInput(f"{text[:100]!r} is not the id of an agent", field="agent")
    return text
