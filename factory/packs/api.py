"""REST for calibration packs: upload, list, look up, download."""

from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from factory import queries
from factory.models import SPACES, CalibrationPack
from factory.packs.upload import Received, contribute, receive
from latentmas.blobs import DIGEST
from latentmas.events.types import Metadata
from latentmas.idempotency.keys import PARAMETER, once
from latentmas.protocol.errors import TooLarge
from latentmas.protocol.w_matrix import Space
from latentmas.rest.answers import CONTENT_TYPE
from latentmas.rest.cursors import page_document, page_of
from latentmas.rest.downloads import send_file
from latentmas.rest.endpoints import FILE, PROBLEM
from latentmas.rest.parameters import StrictSerializer, read, snake_keys
from latentmas.rest.permissions import WriteCalibrationPacks, requester
from latentmas.rest.uploads import BytesParser, SafetensorsParser, is_file

DEFAULT_LIMIT = 25
MAX_LIMIT = 100
SHOWN = (
    *("digest", "size", "model", "weights", "space", "corpus", "corpus_digest", "documents", "calibration_tokens"),
    *("width", "contributor", "refused", "recorded_at"),
)
PATH = OpenApiParameter("digest", OpenApiTypes.STR, OpenApiParameter.PATH, description="sha256:<hex>")


class PacksInput(StrictSerializer):
    model = serializers.CharField(required=False, help_text="Name, hub id or alias.")
    corpus_digest = serializers.RegexField(rf"^{DIGEST.pattern}\Z", required=False)
    space = serializers.ChoiceField(SPACES, required=False)
    limit = serializers.IntegerField(required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT)
    cursor = serializers.CharField(required=False, max_length=400, help_text="`next_cursor` of the page before.")


class ContributionInput(StrictSerializer):
    new_corpus = serializers.BooleanField(default=False, help_text="The corpus is not known here yet.")


class PackOutput(serializers.Serializer[Any]):
    digest = serializers.CharField(help_text="SHA-256 of the file.")
    size = serializers.IntegerField(help_text="Bytes.")
    model = serializers.CharField()
    weights = serializers.CharField(help_text="Digest of the weights that were run, as the contributor says.")
    space = serializers.ChoiceField(SPACES)
    corpus = serializers.CharField()
    corpus_digest = serializers.CharField()
    documents = serializers.IntegerField()
    calibration_tokens = serializers.IntegerField()
    width = serializers.IntegerField(help_text="Numbers in a row.")
    contributor = serializers.CharField(allow_null=True, help_text="An opaque name; null: captured by this server.")
    refused = serializers.CharField(
        allow_null=True, help_text="What a spot-check found, after which the pack is not used; null: nothing."
    )
    recorded_at = serializers.DateTimeField()
    url = serializers.CharField()


class PackPageOutput(serializers.Serializer[Any]):
    results = PackOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    next = serializers.CharField(allow_null=True)


class ReadOrContribute(BasePermission):
    """Anyone may read; uploading needs the scope `calibration-packs:write`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method == "GET":
            return True
        allowed = WriteCalibrationPacks()
        granted = allowed.has_permission(request, view)
        self.message = getattr(allowed, "message", None)
        return granted


@extend_schema(
    methods=["GET"],
    operation_id="calibration_packs_list",
    parameters=[PacksInput],
    responses={200: PackPageOutput, **PROBLEM},
)
@extend_schema(
    methods=["POST"],
    operation_id="calibration_packs_create",
    parameters=[ContributionInput, PARAMETER],
    request={CONTENT_TYPE: OpenApiTypes.BINARY},
    responses={201: PackOutput, 200: PackOutput, **PROBLEM},
)
@api_view(["GET", "POST"])
@permission_classes([ReadOrContribute])
@parser_classes([SafetensorsParser, BytesParser])
def packs(request: Request) -> HttpResponseBase:
    """List the calibration packs by model, or contribute one (a safetensors body); the same file again is 200."""
    if request.method == "POST":
        return _contribute(request)
    wanted = _query(request, PacksInput)
    rows = queries.list_packs(
        model=wanted.get("model"),
        corpus_digest=wanted.get("corpus_digest"),
        space=Space(wanted["space"]) if "space" in wanted else None,
    )
    page = page_of(rows, order=queries.ORDER, limit=wanted["limit"], cursor=wanted.get("cursor"))
    return Response(page_document(request, page, document_of))


@extend_schema(operation_id="calibration_packs_retrieve", parameters=[PATH], responses={200: PackOutput, **PROBLEM})
@api_view(["GET"])
@permission_classes([AllowAny])
def pack(request: Request, digest: str) -> Response:
    """Return what is on record about one pack."""
    return Response(document_of(queries.get_pack(digest)))


@extend_schema(
    operation_id="calibration_packs_file",
    parameters=[PATH],
    responses=FILE,
)
@api_view(["GET", "HEAD"])
@permission_classes([AllowAny])
def file(request: Request, digest: str) -> HttpResponseBase:
    """Download a pack; `Repr-Digest` (RFC 9530) and the ETag are the SHA-256 of the whole file."""
    row = queries.get_pack(digest)
    return send_file(
        request._request, digest=row.digest, size=row.size, name=f"{row.model}--{row.corpus}.pack.safetensors"
    )


def document_of(row: CalibrationPack) -> dict[str, Any]:
    return {name: getattr(row, name) for name in SHOWN} | {"url": f"/api/calibration-packs/{row.digest}"}


def _contribute(request: Request) -> HttpResponseBase:
    if not is_file(request):
        raise UnsupportedMediaType(request.content_type or "")
    options = _query(request, ContributionInput)
    limit = settings.CALIBRATION_PACK_MAX_BYTES
    size = int(request.META.get("CONTENT_LENGTH") or 0)
    if size > limit:
        raise TooLarge(f"the body has {size} bytes; the limit is {limit}", limit=limit, size=size)
    received = receive(request._request.read, limit=limit, new_corpus=options["new_corpus"])
    return once(request, lambda: _recorded(request, received), body=received.digest)


def _recorded(request: Request, received: Received) -> Response:
    name = requester(request)
    row, is_new = contribute(received, contributor=name, metadata=Metadata(actor=name))
    response = Response(document_of(row), status=201 if is_new else 200)
    response["Location"] = f"/api/calibration-packs/{row.digest}"
    return response


def _query(request: Request, shape: type[StrictSerializer]) -> dict[str, Any]:
    return read(snake_keys(request.query_params.dict()), shape)
