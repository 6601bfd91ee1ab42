"""What a seller's page shows, in one read: who it is, how it stands, what it sells, and what buyers say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from marketplace.agents.models import Agent, AgentProfile
from marketplace.agents.queries import get_agent, profiles_of
from marketplace.artefacts.models import Artefact
from marketplace.listings.models import Listing
from marketplace.listings.queries import Filters, browse
from marketplace.listings.visibility import NOBODY, Viewer
from marketplace.reputation.models import Review
from marketplace.reputation.queries import Standing, counted_among, reviews, standing_of

SHOWN = 20  # of each list


@dataclass(frozen=True, slots=True)
class SellerPage:
    """One agent as its buyers see it. Lists hold the first SHOWN of their rows."""

    agent: Agent  # with its verified domain
    profile: AgentProfile | None  # None: erased
    standing: Standing
    listings: Sequence[Listing]
    artefacts: Sequence[Artefact]  # memories, chains, long-term memories and embeddings on sale
    reviews: Sequence[Review]
    counted: frozenset[str]  # ids of those reviews that are part of the score


def seller_page(agent_id: str, *, at: datetime, viewer: Viewer = NOBODY) -> SellerPage:
    """Return the page of an agent, as a viewer may see it. Raises NotFound."""
    agent = get_agent(agent_id)
    offers = browse(Filters(space=None), at=at, viewer=viewer).filter(seller=agent.id)
    newest = list(reviews(seller=agent.id)[:SHOWN])
    return SellerPage(
        agent=agent,
        profile=profiles_of([agent]).get(agent.id),
        standing=standing_of(agent.id),
        listings=list(offers[:SHOWN]),
        artefacts=list(Artefact.objects.filter(seller=agent.id, version__isnull=False).order_by("kind", "id")[:SHOWN]),
        reviews=newest,
        counted=frozenset(counted_among(newest)),
    )
