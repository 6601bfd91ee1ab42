"""What a W-Matrix's certificate promises of texts, and whether that can be measured on this server."""

from datetime import datetime

from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.runners.weights import installed_models
from marketplace.agents.models import Agent
from marketplace.claims.acceptance_events import Promise
from marketplace.claims.errors import AcceptanceNotOffered, AcceptanceTooLate
from marketplace.listings.certificates import require_certificate, scope_of_row
from marketplace.listings.models import ListingVersion
from marketplace.listings.queries import bought_version
from marketplace.listings.visibility import Viewer, has_obtained
from marketplace.sales.models import Sale

DIGITS = 4  # as measured figures are recorded


def promise_of(item: str, version: str, *, length: int | None, at: datetime) -> Promise:
    """Return what the certificate in force states of a length that it covers, the shortest by default.

    Raises NotFound, ListingIsQuarantined, AcceptanceNotOffered, InvalidInput for another length, or why there is no
    certificate.
    """
    row = bought_version(item, version)
    require_certificate(row, at=at)
    scope = scope_of_row(row)
    if scope is None:
        raise AcceptanceNotOffered("its certificate is not of an evaluation suite", field="quote")
    known = {each.length: each for each in scope.lengths}
    if length is not None and length not in known:
        named = ", ".join(map(str, known))
        raise InvalidInput(f"the certificate has no figure for {length} tokens; it has for {named}", field="length")
    chosen = scope.lengths[0] if length is None else known[length]
    return Promise(scope.mode, chosen.length, decimal(chosen.low))


def require_unknown(item: str, version: str, *, buyer: str) -> None:
    """Raise AcceptanceTooLate where the buyer's login had the file before, by whichever of its agents.

    Who knows a file can name the texts on which it fails.
    """
    owner = Agent.objects.filter(id=buyer).values("owner")
    agents = frozenset(Agent.objects.filter(owner__in=owner).values_list("id", flat=True))
    bought = Sale.objects.filter(item=item, buyer__in=agents, captured_at__isnull=False)
    if bought.exists() or has_obtained(bought_version(item, version), Viewer(agents)):
        raise AcceptanceTooLate("an agent of your login has had this W-Matrix before")


def decimal(figure: float) -> str:
    """Return a figure as events hold it."""
    return f"{figure:.{DIGITS}f}"


def require_runnable(item: str, version: str) -> None:
    """Raise ModelNotSupported where this server has not both models of a version."""
    row: ListingVersion = bought_version(item, version)
    if absent := [name for name in (row.source_model, row.target_model) if name not in installed_models()]:
        raise ModelNotSupported(
            f"{' and '.join(absent)} cannot be run on this server, so that nothing can be measured and nothing is "
            "promised",
            resolution="Buy without naming texts; about what you bought you can open a dispute.",
        )
