"""REST for artefacts: browse and publish, the card, its lineage and canary. One set of views serves every kind."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.http.response import HttpResponseBase
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.permissions import SAFE_METHODS, AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.protocol.errors import NotFound
from latentmas.rest.conditional import versioned
from latentmas.rest.cursors import page_document, page_of
from latentmas.rest.downloads import send_file
from latentmas.rest.endpoints import ANYBODY, FILE, NOT_MODIFIED, example, problems, reading
from latentmas.rest.parameters import object_in, read, read_query
from latentmas.rest.permissions import PublishMemories
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.queries import acting_agent
from marketplace.artefacts import inputs, outputs, queries
from marketplace.artefacts.events import Parent, Terms
from marketplace.artefacts.lineage import ancestors_of, descendants_of, royalties_of
from marketplace.artefacts.models import Artefact
from marketplace.artefacts.publication import Offered, Said, list_artefact
from marketplace.artefacts.shelves import Shelf, Wanted
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.rest.lifecycle_api import metadata_of
from marketplace.listings.visibility import viewer_of


class ReadOrPublish(PublishMemories):
    """Everybody may look; publishing asks for `memories:publish`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method in SAFE_METHODS or super().has_permission(request, view)


def artefacts(shelf: Shelf) -> Any:
    """The view of a kind's list."""

    @conditional_page
    @extend_schema(
        methods=["GET"],
        operation_id=f"{shelf.prefix}_list",
        auth=ANYBODY,
        parameters=[inputs.ListInput],
        responses={200: outputs.ArtefactPageOutput} | NOT_MODIFIED | problems(404),
    )
    @extend_schema(
        methods=["POST"],
        operation_id=f"{shelf.prefix}_create",
        parameters=[PARAMETER],
        request=shelf.create,
        examples=example(dict(shelf.example)),
        responses={201: outputs.ArtefactOutput} | problems(404),
    )
    @api_view(["GET", "POST"])
    @permission_classes([ReadOrPublish])
    @parser_classes([BoundedJSONParser])
    @idempotent()
    def view(request: Request) -> HttpResponseBase:
        """Browse what is on sale, the cheapest first, or list something of yours; it is offered after a screening."""
        return browse(request, shelf) if request.method == "GET" else create(request, shelf)

    return view


def browse(request: Request, shelf: Shelf) -> Response:
    wanted = read_query(request, inputs.ListInput)
    rows = queries.on_sale(shelf.kind, inputs.filters_in(wanted))
    page = page_of(rows, order=queries.ORDER, limit=wanted["limit"], cursor=wanted.get("cursor"))
    return Response(page_document(request, page, outputs.summary))


def create(request: Request, shelf: Shelf) -> Response:
    agent = acting_agent(request).id
    wanted = read(object_in(request), shelf.create)
    made = shelf.make(cast(User, request.user), agent, wanted)
    offered = Offered(shelf.kind, wanted["title"], wanted["description"], terms_of(wanted))
    artefact_id = list_artefact(offered, said_in(wanted), made, by=By(agent, metadata_of(request)))
    response = answer(artefact_id, request, status=201)
    response["Location"] = f"/api/{shelf.path}/{artefact_id}"
    return response


def card(shelf: Shelf) -> Any:
    """The view of one artefact."""

    @reading(f"{shelf.prefix}_retrieve", answer=outputs.ArtefactOutput, statuses=[403])
    def view(request: Request, artefact_id: str) -> Response:
        """Return the card with every version; never anything of what it holds."""
        viewer = viewer_of(request)
        return _answer(queries.get_artefact(shelf.kind, artefact_id, viewer), request)

    return view


def lineage(shelf: Shelf) -> Any:
    """The view of what an artefact is made from, and what of it."""

    @reading(f"{shelf.prefix}_lineage", answer=outputs.LineageOutput, statuses=[403])
    def view(request: Request, artefact_id: str) -> Response:
        """Return ancestors and descendants as far as they go, and what the ancestors' sellers get of a sale."""
        row = queries.get_artefact(shelf.kind, artefact_id, viewer_of(request))
        relatives = ancestors_of([row.id]), descendants_of([row.id])
        return Response(outputs.lineage(row, *relatives, royalties_of(row.id)))

    return view


def canary(shelf: Shelf) -> Any:
    """The view of the part that a seller gives away."""

    @extend_schema(
        operation_id=f"{shelf.prefix}_canary",
        auth=ANYBODY,
        parameters=[inputs.VersionQuery],
        responses=FILE | problems(403, 404, 410),
    )
    @api_view(["GET", "HEAD"])
    @permission_classes([AllowAny])
    def view(request: Request, artefact_id: str) -> HttpResponseBase:
        """Download the part of a version that its seller gives away: a raw snapshot, or a file of vectors."""
        row = queries.get_artefact(shelf.kind, artefact_id, viewer_of(request))
        version = queries.offered_version(row, read_query(request, inputs.VersionQuery).get("version"))
        if version.canary_digest is None or version.canary_size is None:
            raise NotFound(f"of version {version.version} nothing is given away")
        name = f"{row.model}--{row.id}--{version.version}--canary.safetensors"
        return send_file(request._request, digest=version.canary_digest, size=version.canary_size, name=name)

    return view


def answer(artefact_id: str, request: Request, *, status: int = 200) -> Response:
    """Return an artefact as who has just changed it may see it, with its version as the ETag."""
    return _answer(Artefact.objects.get(id=artefact_id), request, status=status)


def said_in(wanted: Wanted, *, version: str | None = None) -> Said:
    """Return what a seller says of a version."""
    parents = wanted.get("parents")
    return Said(
        version=wanted["version"] if version is None else version,
        rights=wanted["rights"],
        invertible=wanted["invertible"],
        parents=None
        if parents is None
        else tuple(Parent(str(each["artefact"]), each["royalty_basis_points"]) for each in parents),
    )


def terms_of(wanted: Wanted) -> Terms:
    return Terms(wanted["price"], wanted["floor"], wanted["discount"])


def _answer(row: Artefact, request: Request, *, status: int = 200) -> Response:
    versions = queries.versions_of(row, viewer_of(request))
    document = outputs.card(row, versions, queries.parents_of(row))
    return versioned(Response(document, status=status), row.stream_version)
