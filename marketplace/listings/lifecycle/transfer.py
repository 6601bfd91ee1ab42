"""Handing a listing over: offered by its owner, accepted or declined by the receiver. State + command -> events. Pure.

The listing stays with its owner until the receiver accepts: nobody becomes the seller of what it has not agreed to.
"""

from marketplace.listings.aggregate import ListingState
from marketplace.listings.errors import TransferNotOffered
from marketplace.listings.events import lifecycle as life
from marketplace.listings.lifecycle.decisions import Events, Right, require_open, require_right
from marketplace.listings.lifecycle.membership import check_agent


def decide_offer(state: ListingState, agent: str | None, *, to: str) -> Events:
    """Offer the listing to another agent, in place of an earlier offer; the same again records nothing.

    Raises NotFound, NotAllowed, InvalidInput or a Conflict.
    """
    require_right(state, agent, Right.OWN)
    require_open(state)
    lifecycle = state.lifecycle
    return () if check_agent(to) in (lifecycle.owner, lifecycle.offered_to) else (life.TransferOffered(to),)


def decide_withdraw(state: ListingState, agent: str | None) -> Events:
    """Take the offer back. Raises NotFound, NotAllowed or TransferNotOffered."""
    require_right(state, agent, Right.OWN)
    if state.lifecycle.offered_to is None:
        raise TransferNotOffered("the listing is offered to nobody")
    return (life.TransferWithdrawn(state.lifecycle.offered_to),)


def decide_accept(state: ListingState, agent: str | None) -> Events:
    """Take the listing over; its former owner keeps no right in it. Raises TransferNotOffered or a Conflict."""
    receiver = _receiver(state, agent)
    require_open(state)
    return (life.ListingTransferred(receiver),)


def decide_decline(state: ListingState, agent: str | None) -> Events:
    """Leave the listing where it is. Raises TransferNotOffered."""
    return (life.TransferDeclined(_receiver(state, agent)),)


def _receiver(state: ListingState, agent: str | None) -> str:
    # The same error where there is no such listing: a private one is nobody's business but the receiver's.
    if agent is None or agent != state.lifecycle.offered_to:
        raise TransferNotOffered("no such listing is offered to this agent")
    return agent
