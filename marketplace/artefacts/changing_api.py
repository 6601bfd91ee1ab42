"""REST for what may happen to an artefact. Every change says by `If-Match` which version it saw."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib.auth.models import User
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.rest.parameters import StrictSerializer, object_in, read
from latentmas.rest.permissions import AdministerMarketplace, PublishMemories
from marketplace.artefacts import commands, inputs, queries
from marketplace.artefacts.api import answer, said_in, terms_of
from marketplace.artefacts.models import Artefact
from marketplace.artefacts.outputs import ArtefactOutput
from marketplace.artefacts.publication import next_version, publish_version
from marketplace.artefacts.segments import appended
from marketplace.artefacts.shelves import Shelf, segments_of
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.rest.lifecycle_api import ReasonInput, as_agent, as_curator, changing
from marketplace.listings.visibility import viewer_of


def versions(shelf: Shelf) -> Any:
    """The view that publishes another version."""
    assert shelf.next is not None  # else they come about otherwise
    shape = shelf.next

    @_changing(POST=(f"{shelf.prefix}_publish", shape))
    def view(request: Request, artefact_id: str) -> Response:
        """Publish another version; it is offered after a screening."""
        row, by = _own(request, shelf, artefact_id)
        wanted = read(object_in(request), shape)
        made = shelf.make(cast(User, request.user), row.seller, wanted)
        publish_version(row.id, said_in(wanted), made, by=by)
        return answer(row.id, request)

    return view


def segments(shelf: Shelf) -> Any:
    """The view that appends segments to a long-term memory."""

    @_changing(POST=(f"{shelf.prefix}_append", inputs.AppendInput))
    def view(request: Request, artefact_id: str) -> Response:
        """Append segments, which make the next minor version; it is offered after a screening."""
        row, by = _own(request, shelf, artefact_id)
        wanted = read(object_in(request), inputs.AppendInput)
        last = queries.newest_version(row)
        made = appended(cast(User, request.user), last, segments=segments_of(wanted))
        publish_version(row.id, said_in(wanted, version=next_version(last.version)), made, by=by)
        return answer(row.id, request)

    return view


def price(shelf: Shelf) -> Any:
    """The view that changes the terms."""

    @_changing(PUT=(f"{shelf.prefix}_price", inputs.TermsInput))
    def view(request: Request, artefact_id: str) -> Response:
        """Change price, floor and discount of later sales."""
        row, by = _own(request, shelf, artefact_id)
        commands.change_price(row.id, terms=terms_of(read(object_in(request), inputs.TermsInput)), by=by)
        return answer(row.id, request)

    return view


def withdraw(shelf: Shelf) -> Any:
    """The view that ends the offer."""

    @_changing(POST=(f"{shelf.prefix}_withdraw", ReasonInput))
    def view(request: Request, artefact_id: str) -> Response:
        """End the offer for good, for a reason; who has bought keeps what he has."""
        row, by = _own(request, shelf, artefact_id)
        commands.withdraw(row.id, by=by, **read(object_in(request), ReasonInput))
        return answer(row.id, request)

    return view


def quarantine(shelf: Shelf) -> Any:
    """The view that stops an artefact."""

    @changing(by=AdministerMarketplace, answer=ArtefactOutput, POST=(f"{shelf.prefix}_quarantine", ReasonInput))
    def view(request: Request, artefact_id: str) -> Response:
        """Stop everything of an artefact, as a curator."""
        row = queries.get_artefact(shelf.kind, artefact_id, viewer_of(request))
        commands.quarantine(row.id, by=as_curator(request), **read(object_in(request), ReasonInput))
        return answer(row.id, request)

    return view


def release(shelf: Shelf) -> Any:
    """The view that ends a quarantine."""

    @changing(by=AdministerMarketplace, answer=ArtefactOutput, POST=(f"{shelf.prefix}_release", ReasonInput))
    def view(request: Request, artefact_id: str) -> Response:
        """End a quarantine, as a curator."""
        row = queries.get_artefact(shelf.kind, artefact_id, viewer_of(request))
        commands.release(row.id, by=as_curator(request), **read(object_in(request), ReasonInput))
        return answer(row.id, request)

    return view


def _changing(**operations: tuple[str, type[StrictSerializer] | None]) -> Callable[[Any], Any]:
    return changing(by=PublishMemories, answer=ArtefactOutput, **operations)


def _own(request: Request, shelf: Shelf, artefact_id: str) -> tuple[Artefact, By]:
    """Return an artefact with who changes it, its seller.

    Raises what `acting_agent`, `expected_version` and `get_artefact` do, and NotYourArtefact.
    """
    by = as_agent(request)
    row = queries.get_artefact(shelf.kind, artefact_id, viewer_of(request))
    queries.require_seller(row, by.agent)
    return row, by
