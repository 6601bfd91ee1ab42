"""What a W-Matrix's certificate promises of texts, and whether that can be measured on this server."""

from collections.abc import Sequence
from datetime import datetime

from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.runners.weights import installed_models
from marketplace.agents.models import Agent
from marketplace.claims.acceptance_events import Promise
from marketplace.claims.errors import AcceptanceNotOffered, AcceptanceTooLate
from marketplace.listings.certificates.standing import require_certificate, scope_of_row
from marketplace.listings.models import ListingVersion
from marketplace.listings.queries import bought_version
from marketplace.listings.visibility import Viewer, has_obtained
from marketplace.sales.models import Sale

DIGITS = 4  # as measured figures are recorded


def promises_of(item: str, version: str, *, at: datetime) -> tuple[Promise, ...]:
    """Return what the certificate in force states of each length that it covers, the shortest first.

    Raises NotFound, ListingIsQuarantined, AcceptanceNotOffered, or why there is no certificate.
    """
    row = bought_version(item, version)
    require_certificate(row, at=at)
    scope = scope_of_row(row)
    if scope is None:
        raise AcceptanceNotOffered("its certificate is not of an evaluation suite", field="quote")
    return tuple(Promise(scope.mode, each.length, decimal(each.low)) for each in scope.lengths)


def promise_for(promises: Sequence[Promise], length: int | None) -> Promise:
    """Return the promise for a length, the shortest by default. Raises InvalidInput for another length."""
    chosen = promises[0] if length is None else next((each for each in promises if each.length == length), None)
    if chosen is None:
        named = ", ".join(str(each.length) for each in promises)
        raise InvalidInput(f"the certificate has no figure for {length} tokens; it has for {named}", field="length")
    return chosen


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
