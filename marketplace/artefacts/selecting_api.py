"""REST: which segments of a long-term memory a query would choose."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.rest.endpoints import problems
from latentmas.rest.parameters import object_in, read
from latentmas.rest.permissions import WritePurchases
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.artefacts import inputs, outputs, queries
from marketplace.artefacts.segments import chosen_segments
from marketplace.artefacts.shelves import Shelf
from marketplace.listings.visibility import viewer_of


def select(shelf: Shelf) -> Any:
    """The view of a selection."""

    @extend_schema(
        operation_id=f"{shelf.prefix}_select",
        request=inputs.SelectInput,
        responses={200: outputs.SelectionOutput} | problems(404, 410),
    )
    @api_view(["POST"])
    @permission_classes([WritePurchases])
    @parser_classes([BoundedJSONParser])
    def view(request: Request, artefact_id: str) -> Response:
        """Show which segments a query would choose within a budget: ids, tokens and relevance, never the content."""
        wanted = read(object_in(request), inputs.SelectInput)
        row = queries.get_artefact(shelf.kind, artefact_id, viewer_of(request))
        version = queries.offered_version(row, wanted.get("version"))
        chosen = chosen_segments(version, query=wanted.get("query"), token_budget=wanted.get("token_budget"))
        return Response(outputs.selection(version, chosen))

    return view
