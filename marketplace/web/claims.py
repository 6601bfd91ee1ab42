"""Disputes and acceptances as pages show them."""

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from latentmas.protocol.errors import LatentMASError, NotFound
from marketplace.claims import queries
from marketplace.claims.acceptance_commands import promises_with
from marketplace.claims.aggregate import UNDECIDED
from marketplace.claims.events import DisputeKind
from marketplace.claims.models import Dispute
from marketplace.claims.outputs import acceptance_document, dispute_document
from marketplace.sales.goods import Kind
from marketplace.sales.models import Sale
from marketplace.sales.quotes import Quote
from marketplace.web.claim_forms import SAID

# Why nothing was measured, by the code that the record has; docs/claims.md has the same table.
UNMEASURED = {
    "MODEL_NOT_SUPPORTED": "the models do not run on this server with exactly the weights of the file",
    "ACCEPTANCE_TEXTS_TOO_FEW": "fewer than eight of the texts count",
    "INVALID_INPUT": "the texts' beginnings do not help the model with what follows, so that nothing could be kept",
    "DIMENSION_MISMATCH": "the file is not what its version says",
    "LISTING_QUARANTINED": "a curator has stopped the file",
    "MEASUREMENT_FAILED": "three attempts came to no result",
}


def dispute_of(row: Sale, *, mine: bool) -> dict[str, Any]:
    """Return what a page needs to show a sale's dispute; nothing where there was none."""
    found = Dispute.objects.filter(id=row.id).first()
    if found is None:
        return {"dispute": None}
    document = dispute_document(found, queries.written_in([found]), as_seller=not mine)
    return {"dispute": document, "dispute_about": SAID[DisputeKind(found.kind)]}


def disputed_among(sales: Iterable[str]) -> set[str]:
    """Return which of the sales have a dispute that nobody has decided yet."""
    return set(Dispute.objects.filter(id__in=set(sales), status__in=UNDECIDED).values_list("id", flat=True))


def acceptance_of(party: str, quote_id: str) -> dict[str, Any]:
    """Return what a page needs to show the texts that were named, to whom it may; nothing where there are none."""
    try:
        found = queries.acceptance_of(party, quote_id)
    except NotFound:
        return {"acceptance": None}
    return {"acceptance": acceptance_document(found), "why_not": UNMEASURED.get(found.code or "", found.code)}


def offered_with(quote: Quote) -> dict[str, Any]:
    """Return what a page needs to let a buyer name texts, or to say why he cannot; nothing where that is no matter."""
    if quote.offer.kind is not Kind.W_MATRIX or quote.price == 0:
        return {}
    try:
        return {"promises": promises_with(quote, buyer=quote.buyer, at=timezone.now())}
    except LatentMASError as error:
        return {"no_acceptance": error.message}
