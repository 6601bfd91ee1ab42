"""REST for sellers: list a W-Matrix, and publish another version of it. The catalogue shares the first address."""

from typing import Any

from django.http.response import HttpResponseBase
from django.views.decorators.http import conditional_page
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, once
from latentmas.kept_answers import kept
from latentmas.protocol.w_matrix import Method, Space
from latentmas.rest.answers import CONTENT_TYPE
from latentmas.rest.conditional import IF_MATCH, expected_version
from latentmas.rest.endpoints import ANYBODY, NOT_MODIFIED, example, problems
from latentmas.rest.parameters import NothingInput, StrictSerializer, object_in, read, read_query
from latentmas.rest.permissions import PublishWMatrices
from latentmas.rest.uploads import BoundedJSONParser, BytesParser, SafetensorsParser, is_file
from marketplace.agents.queries import acting_agent, check_signature
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.events.listing import StoredFile, VersionPublished
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.publishing import publication
from marketplace.listings.publishing.from_arrays import LinearMap, store_arrays
from marketplace.listings.publishing.publication import Declared
from marketplace.listings.queries import get_listing
from marketplace.listings.rest import inputs, outputs
from marketplace.listings.rest.catalogue_api import browse
from marketplace.listings.rest.lifecycle_api import answer, metadata_of
from marketplace.listings.rest.selling_inputs import CreateFileInput, CreateInput, FileVersionInput, VersionInput
from marketplace.listings.visibility import viewer_of
from marketplace.uploads.commands import end_upload
from marketplace.uploads.queries import get_stored
from marketplace.uploads.receiving import receive_file

ALIASES = inputs.ALIASES
OFFERED = ("title", "description", "source_model", "target_model", "price", "tags")
SAID = ("version", "epsilon", "test_samples", "cosine_similarity", "euclidean_distance")
EXAMPLE = {
    "title": "SmolLM2 to Gemma 3",
    "source_model": "smollm2-135m",
    "target_model": "gemma-3-270m",
    "upload": "5f0c3a8e5f0c3a8e5f0c3a8e5f0c3a8e",
    "price": {"amount": 1999, "currency": "USD"},
    "version": "1.0.0",
    "epsilon": 0.12,
    "test_samples": 1000,
    "tags": ["retrieval"],
}


class ReadOrPublish(PublishWMatrices):
    """Everybody may look; publishing asks for `w-matrices:publish`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method != "POST" or super().has_permission(request, view)


@conditional_page
@kept
@extend_schema(
    methods=["GET"],
    operation_id="w_matrices_list",
    auth=ANYBODY,
    parameters=[inputs.BrowseInput],
    responses={200: outputs.PageOutput} | NOT_MODIFIED | problems(404),
)
@extend_schema(
    methods=["POST"],
    operation_id="w_matrices_create",
    parameters=[PARAMETER],
    request={"application/json": CreateInput, CONTENT_TYPE: OpenApiTypes.BINARY},
    examples=example(EXAMPLE),
    responses={201: outputs.ListingOutput} | problems(404),
)
@api_view(["GET", "POST"])
@permission_classes([ReadOrPublish])
@parser_classes([BoundedJSONParser, SafetensorsParser, BytesParser])
def w_matrices(request: Request) -> HttpResponseBase:
    """Browse what is on offer, or list a W-Matrix of your agent's; its first version is offered after a scan."""
    if request.method == "GET":
        return browse(request)
    agent = acting_agent(request).id
    wanted, file = _received(request, json=CreateInput, query=CreateFileInput)

    def create() -> Response:
        published = _published(wanted, file, agent, wanted["source_model"], wanted["target_model"])
        said = {name: wanted[name] for name in OFFERED} | {"seller_statement": wanted.get("seller_statement")}
        offer = publication.Offer(**said, access=Access(wanted["access"]))
        by = By(agent, metadata_of(request))
        listing_id = publication.open_listing(
            offer, published, signature=checked_signature(wanted, agent, published.file), by=by
        )
        end_used(wanted, agent)
        made = answer(listing_id, status=201)
        made["Location"] = f"/api/w-matrices/{listing_id}"
        return made

    return once(request, create, body=None if file is None else file.digest)


@extend_schema(
    operation_id="w_matrices_publish",
    parameters=[PARAMETER, IF_MATCH],
    request={"application/json": VersionInput, CONTENT_TYPE: OpenApiTypes.BINARY},
    responses={201: outputs.ListingOutput} | problems(410),
)
@api_view(["POST"])
@permission_classes([PublishWMatrices])
@parser_classes([BoundedJSONParser, SafetensorsParser, BytesParser])
def versions(request: Request, listing_id: str) -> HttpResponseBase:
    """Publish another version of a listing (`If-Match`); it is offered after a scan."""
    agent, seen = acting_agent(request).id, expected_version(request)
    row = get_listing(listing_id, viewer_of(request))
    wanted, file = _received(request, json=VersionInput, query=FileVersionInput)

    def publish() -> Response:
        published = _published(wanted, file, agent, row.source_model, row.target_model)
        publication.publish_upload(
            listing_id,
            published,
            signature=checked_signature(wanted, agent, published.file),
            by=By(agent, metadata_of(request), seen),
        )
        end_used(wanted, agent)
        made = answer(listing_id, status=201)
        made["Location"] = f"/api/w-matrices/{listing_id}/versions/{published.version}"
        return made

    return once(request, publish, body=None if file is None else file.digest)


def _received(
    request: Request, *, json: type[StrictSerializer], query: type[StrictSerializer]
) -> tuple[dict[str, Any], StoredFile | None]:
    """Return the parameters, checked before anything of a file is read, and the body's file where it is one."""
    if is_file(request):
        wanted = read_query(request, query, aliases=ALIASES)
        return wanted, StoredFile(*receive_file(request, announced=wanted.get("digest")))
    if (request.content_type or "").split(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType(request.content_type or "", detail=f"send JSON, or the file as {CONTENT_TYPE}")
    read_query(request, NothingInput)
    return read(object_in(request, aliases=ALIASES), json), None


def _published(
    wanted: dict[str, Any], file: StoredFile | None, agent: str, source_model: str, target_model: str
) -> VersionPublished:
    """Return the version that was sent: as a file, as a finished upload, or as arrays."""
    declared = Declared(**{name: wanted[name] for name in SAID if wanted.get(name) is not None})
    if file is None and "upload" in wanted:
        file = uploaded(wanted, agent)
    if file is None:
        given = LinearMap(
            source_model=source_model,
            target_model=target_model,
            biases=wanted.get("biases"),
            method=Method(wanted["method"]),
            space=Space(wanted["space"]),
            **{name: wanted[name] for name in ("source_dimension", "target_dimension", "weights", "standard")},
        )
        file = store_arrays(given, declared)
    return publication.published_from(file, declared, source_model=source_model, target_model=target_model)


def uploaded(wanted: dict[str, Any], agent: str) -> StoredFile:
    """Return the file of the finished upload that is named. Raises NotFound or Conflict."""
    upload = get_stored(agent, wanted["upload"])
    return StoredFile(upload.digest, upload.size)


def checked_signature(wanted: dict[str, Any], agent: str, file: StoredFile) -> str | None:
    """Return the agent's signature for the file, where one is given. Raises SignatureInvalid or KeyRevoked."""
    signature: str | None = wanted.get("signature")
    if signature is not None:
        check_signature(agent, digest=file.digest, signature=signature)
    return signature


def end_used(wanted: dict[str, Any], agent: str) -> None:
    """End the upload that is named, if one is: its file belongs to a listing now."""
    if "upload" in wanted:
        end_upload(get_stored(agent, wanted["upload"]))
