"""Every change of a listing after it was made. Each appends to the stream `listing/<id>` or raises and changes nothing.

All raise NotFound for a listing that is not there for the agent, NotAllowed where it lacks the right, VersionConflict
where the listing has moved on, and ListingIsQuarantined or ListingIsDelisted while nothing of it may change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from latentmas.events.commands import execute
from latentmas.events.transactions import transact
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.money import Money, Split
from marketplace.listings.aggregate import LISTING, ListingState
from marketplace.listings.events.lifecycle import Access, Role, TextsErased
from marketplace.listings.lifecycle import decisions as lifecycle
from marketplace.listings.lifecycle import membership, transfer
from marketplace.listings.texts import TEXTS, seal
from marketplace.texts.erasable import batches


@dataclass(frozen=True, slots=True)
class By:
    """Who changes a listing, by which request, and the version of its stream that was seen (None: whichever it is).

    `agent` None is a curator or the operator, whose permission the caller has checked.
    """

    agent: str | None
    metadata: Metadata
    expected: int | None = None


def yank_version(listing_id: str, *, version: str, reason: str, by: By) -> list[Recorded]:
    """Withdraw a version: no longer offered; who has got it keeps it. Raises InvalidInput or Conflict."""
    return change(listing_id, lifecycle.decide_yank, by, version=version, reason=reason)


def deprecate_version(
    listing_id: str, *, version: str, reason: str, successor: str | None = None, by: By
) -> list[Recorded]:
    """Advise another version than this one, which stays on offer. Raises InvalidInput or Conflict."""
    return change(listing_id, lifecycle.decide_deprecate, by, version=version, reason=reason, successor=successor)


def move_alias(listing_id: str, *, name: str, version: str, by: By) -> list[Recorded]:
    """Let a name such as `stable` lead to a version on offer. Raises InvalidInput or Conflict."""
    return change(listing_id, lifecycle.decide_alias, by, name=name, version=version)


def change_price(listing_id: str, *, price: Money, by: By) -> list[Recorded]:
    """Change the price of later sales. Raises InvalidInput."""
    return change(listing_id, lifecycle.decide_price, by, price=price)


def change_split(listing_id: str, *, split: Split, by: By) -> list[Recorded]:
    """Change how later sales are divided. Raises InvalidInput."""
    return change(listing_id, lifecycle.decide_split, by, split=split)


def quarantine_listing(listing_id: str, *, reason: str, by: By) -> list[Recorded]:
    """Stop everything of a listing, as a curator. Raises InvalidInput or Conflict."""
    return change(listing_id, lifecycle.decide_quarantine, by, reason=reason)


def release_listing(listing_id: str, *, reason: str, by: By) -> list[Recorded]:
    """End a quarantine, as a curator. Raises InvalidInput or Conflict."""
    return change(listing_id, lifecycle.decide_release, by, reason=reason)


def delist(listing_id: str, *, reason: str, by: By) -> list[Recorded]:
    """End the offer for good. Raises InvalidInput."""
    return change(listing_id, lifecycle.decide_delist, by, reason=reason)


def offer_transfer(listing_id: str, *, to: str, by: By) -> list[Recorded]:
    """Offer a listing to another agent, in place of an earlier offer. Raises InvalidInput."""
    return change(listing_id, transfer.decide_offer, by, to=to)


def withdraw_transfer(listing_id: str, *, by: By) -> list[Recorded]:
    """Take the offer back. Raises TransferNotOffered."""
    return change(listing_id, transfer.decide_withdraw, by)


def accept_transfer(listing_id: str, *, by: By) -> list[Recorded]:
    """Take over a listing that is offered to the agent. Raises TransferNotOffered."""
    return change(listing_id, transfer.decide_accept, by)


def decline_transfer(listing_id: str, *, by: By) -> list[Recorded]:
    """Leave a listing that is offered to the agent where it is. Raises TransferNotOffered."""
    return change(listing_id, transfer.decide_decline, by)


def add_collaborator(listing_id: str, *, who: str, role: Role, by: By) -> list[Recorded]:
    """Give an agent a role, or another one. Raises InvalidInput or Conflict."""
    return change(listing_id, membership.decide_collaborator, by, who=who, role=role)


def remove_collaborator(listing_id: str, *, who: str, by: By) -> list[Recorded]:
    """Take an agent's role away; its own it may lay down."""
    return change(listing_id, membership.decide_remove, by, who=who)


def change_access(listing_id: str, *, access: Access, by: By) -> list[Recorded]:
    """Make a listing public, gated or private."""
    return change(listing_id, membership.decide_access, by, access=access)


def request_access(listing_id: str, *, message: str, by: By) -> list[Recorded]:
    """Ask for the files of a gated listing; twice records nothing. Raises InvalidInput or Conflict."""
    return change(listing_id, membership.decide_request, by, message=message)


def grant_access(listing_id: str, *, who: str, by: By) -> list[Recorded]:
    """Let an agent see the listing and get its files. Raises InvalidInput or Conflict."""
    return change(listing_id, membership.decide_grant, by, who=who)


def refuse_access(listing_id: str, *, who: str, reason: str, by: By) -> list[Recorded]:
    """Refuse a request for access, or withdraw what was granted. Raises InvalidInput."""
    return change(listing_id, membership.decide_refuse, by, who=who, reason=reason)


def record_scan(listing_id: str, *, version: str, reasons: tuple[str, ...], metadata: Metadata) -> list[Recorded]:
    """Record what the scan of a seller's file found; a second time records nothing. Raises NotFound or Conflict."""
    return execute(
        LISTING,
        listing_id,
        lambda state: lifecycle.decide_scanned(state, version=version, reasons=reasons),
        metadata=metadata,
    )


def erase_texts(listing_id: str, *, metadata: Metadata) -> list[Recorded]:
    """Erase everything that persons wrote about a listing, for good; the log stays verifiable."""

    def work() -> list[Recorded]:
        erased = [TextsErased(gone) for gone in batches(TEXTS.erase(listing_id))]
        return execute(LISTING, listing_id, lambda _: erased, metadata=metadata)

    return transact(work)


def change(listing_id: str, decide: Callable[..., lifecycle.Events], by: By, **what: Any) -> list[Recorded]:
    """Append what a decision about the listing comes to, its texts sealed."""

    def decided(state: ListingState) -> list[object]:
        return seal(listing_id, decide(state, by.agent, **what))

    return execute(LISTING, listing_id, decided, metadata=by.metadata, expected=by.expected)
