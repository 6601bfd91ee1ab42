"""What holds of a listing by the events of its life: who may do what with it, and what of it is on offer. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from latentmas.protocol.money import Money, Split
from marketplace.listings.events import lifecycle as life
from marketplace.listings.events.lifecycle import Access, Role
from marketplace.listings.events.listing import ListingCreated

DEFAULT_SPLIT = Split(creator=80, platform=15, validators=5)


@dataclass(frozen=True, slots=True)
class Lifecycle:
    owner: str | None = None
    price: Money | None = None
    split: Split = DEFAULT_SPLIT
    access: Access = Access.PUBLIC
    offered_to: str | None = None  # the agent that may take the listing over
    collaborators: Mapping[str, Role] = field(default_factory=dict)
    granted: frozenset[str] = frozenset()
    asking: frozenset[str] = frozenset()  # agents whose access request is open
    aliases: Mapping[str, str] = field(default_factory=dict)
    deprecated: Mapping[str, str | None] = field(default_factory=dict)  # version -> successor
    scans: Mapping[str, bool | None] = field(default_factory=dict)  # version -> passed; None: it goes on
    quarantined: bool = False
    delisted: bool = False

    def is_member(self, agent: str | None) -> bool:
        """Return whether an agent owns the listing, works on it, or was granted its files."""
        return agent is not None and (agent == self.owner or agent in self.collaborators or agent in self.granted)

    def offers(self, version: str) -> bool:
        """Return whether nothing of the listing's life speaks against offering a version; a yank may."""
        return not (self.quarantined or self.delisted) and self.scans.get(version, True) is True


def evolve_lifecycle(state: Lifecycle, data: object) -> Lifecycle:
    match data:
        case ListingCreated(seller=seller, price=price):
            return replace(state, owner=seller, price=price)
        case life.PriceChanged(price=price):
            return replace(state, price=price)
        case life.SplitChanged(split=split):
            return replace(state, split=split)
        case life.AliasMoved(name=name, version=version):
            return replace(state, aliases={**state.aliases, name: version})
        case life.ScanBegun(version=version):
            return replace(state, scans={**state.scans, version: None})
        case life.VersionScanned(version=version, reasons=reasons):
            return replace(state, scans={**state.scans, version: not reasons})
        case life.VersionDeprecated(version=version, successor=successor):
            return replace(state, deprecated={**state.deprecated, version: successor})
        case life.ListingQuarantined():
            return replace(state, quarantined=True)
        case life.ListingReleased():
            return replace(state, quarantined=False)
        case life.ListingDelisted():
            return replace(state, delisted=True)
    return _members(state, data)


def _members(state: Lifecycle, data: object) -> Lifecycle:
    match data:
        case life.ListingTransferred(seller=seller):
            others = {agent: role for agent, role in state.collaborators.items() if agent != seller}
            return replace(state, owner=seller, offered_to=None, collaborators=others)
        case life.TransferOffered(to=to):
            return replace(state, offered_to=to)
        case life.TransferWithdrawn() | life.TransferDeclined():
            return replace(state, offered_to=None)
        case life.CollaboratorAdded(agent=agent, role=role):
            return replace(state, collaborators={**state.collaborators, agent: role})
        case life.CollaboratorRemoved(agent=agent):
            others = {each: role for each, role in state.collaborators.items() if each != agent}
            return replace(state, collaborators=others)
        case life.AccessChanged(access=access):
            return replace(state, access=access)
        case life.AccessRequested(agent=agent):
            return replace(state, asking=state.asking | {agent})
        case life.AccessGranted(agent=agent):
            return replace(state, granted=state.granted | {agent}, asking=state.asking - {agent})
        case life.AccessRefused(agent=agent):
            return replace(state, granted=state.granted - {agent}, asking=state.asking - {agent})
    return state
