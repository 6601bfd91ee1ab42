"""Items on sale as pages name them, whatever their kind."""

from collections.abc import Iterable, Mapping

from django.http import Http404, HttpRequest
from django.urls import reverse

from latentmas.protocol.errors import NotFound
from marketplace.artefacts import queries
from marketplace.artefacts.errors import ArtefactIsQuarantined
from marketplace.artefacts.models import Artefact
from marketplace.artefacts.outputs import PATHS
from marketplace.listings.models import Listing
from marketplace.listings.visibility import viewer_of
from marketplace.sales.goods import Kind

NAMES: Mapping[Kind, str] = {
    Kind.W_MATRIX: "W-Matrix",
    Kind.EMBEDDING: "Embeddings",
    Kind.MEMORY: "Memory",
    Kind.REASONING_CHAIN: "Reasoning chain",
    Kind.LONG_TERM_MEMORY: "Long-term memory",
}
PLURALS: Mapping[Kind, str] = {
    Kind.MEMORY: "Memories",
    Kind.REASONING_CHAIN: "Reasoning chains",
    Kind.LONG_TERM_MEMORY: "Long-term memories",
    Kind.EMBEDDING: "Embeddings",
}


def name_of(kind: str) -> str:
    """Return what pages call one item of a kind."""
    return NAMES[Kind(kind)]


def address_of(kind: str, item: str, page: str = "page") -> str:
    """Return the address of an item's page; for an artefact of another page about it, such as `page-price`."""
    if kind == Kind.W_MATRIX:
        return reverse("listing", args=[item])
    return reverse(f"{PATHS[Kind(kind)]}-{page}", args=[item])


def titles_of(items: Iterable[str]) -> dict[str, str]:
    """Return the titles of listings and artefacts by id; for who has bought or sold them, whatever became of them."""
    wanted = set(items)
    listings = Listing.objects.filter(id__in=wanted).values_list("id", "title")
    return dict(Artefact.objects.filter(id__in=wanted).values_list("id", "title")) | dict(listings)


def seen_artefact(request: HttpRequest, kind: Kind, artefact_id: str) -> Artefact:
    """Return an artefact that the visitor may see. Raises Http404."""
    try:
        return queries.get_artefact(kind, artefact_id, viewer_of(request))
    except (NotFound, ArtefactIsQuarantined) as error:
        raise Http404(error.message) from error
