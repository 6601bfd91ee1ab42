"""REST for resumable uploads: announce a file, send it in one or several pieces, ask where to go on."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.protocol.errors import InvalidInput
from latentmas.rest.endpoints import PROBLEM, example, problems
from latentmas.rest.parameters import DigestField, StrictSerializer, object_in, read
from latentmas.rest.permissions import PublishMemories, PublishWMatrices
from latentmas.rest.uploads import BoundedJSONParser, BytesParser, SafetensorsParser, is_file
from marketplace.agents.queries import acting_agent
from marketplace.uploads import commands
from marketplace.uploads.models import Upload
from marketplace.uploads.queries import get_upload, uploads_of
from marketplace.uploads.receiving import length_of, read_chunk

OFFSET_HEADER = "Upload-Offset"
OFFSET = OpenApiParameter(
    OFFSET_HEADER, int, OpenApiParameter.HEADER, required=True, description="At which byte of the file the body begins."
)


class UploadInput(StrictSerializer):
    size = serializers.IntegerField(min_value=1, help_text="Bytes of the file.")
    digest = DigestField(help_text="sha256:<hex> of the file.")


class UploadOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    size = serializers.IntegerField()
    digest = serializers.CharField()
    offset = serializers.IntegerField(help_text="Bytes that have arrived: the next body begins there.")
    stored = serializers.BooleanField(help_text="All of it has arrived and has the announced digest.")
    expires_at = serializers.DateTimeField()
    url = serializers.CharField()


class UploadsOutput(serializers.Serializer[Any]):
    results = UploadOutput(many=True)


@extend_schema(methods=["GET"], operation_id="uploads_list", responses={200: UploadsOutput} | problems(404, 409))
@extend_schema(
    methods=["POST"],
    operation_id="uploads_begin",
    parameters=[PARAMETER],
    request=UploadInput,
    examples=example({"size": 1048576, "digest": "sha256:" + "0" * 64}),
    responses={201: UploadOutput} | problems(404),
)
@api_view(["GET", "POST"])
@permission_classes([PublishWMatrices | PublishMemories])
@parser_classes([BoundedJSONParser])
@idempotent()
def uploads(request: Request) -> Response:
    """List your agent's uploads, or announce a file by its size and digest."""
    owner = acting_agent(request).id
    if request.method == "GET":
        return Response({"results": [_shown(row) for row in uploads_of(owner)]})
    row = commands.begin_upload(owner, **read(object_in(request), UploadInput))
    return _answer(row, status=201)


@extend_schema(methods=["GET"], operation_id="uploads_retrieve", responses={200: UploadOutput} | problems(409))
@extend_schema(
    methods=["PATCH"],
    operation_id="uploads_continue",
    parameters=[OFFSET],
    request={"application/octet-stream": OpenApiTypes.BINARY},
    responses={200: UploadOutput} | PROBLEM,
)
@extend_schema(
    methods=["DELETE"],
    operation_id="uploads_delete",
    request=None,
    responses={204: None},
)
@api_view(["GET", "PATCH", "DELETE"])
@permission_classes([PublishWMatrices | PublishMemories])
@parser_classes([BytesParser, SafetensorsParser])
def upload(request: Request, upload_id: str) -> Response:
    """Ask how much of a file has arrived, send more of it, or give it up. The last byte stores it."""
    row = get_upload(acting_agent(request).id, upload_id)
    if request.method == "DELETE":
        commands.end_upload(row)
        return Response(status=204)
    if request.method == "PATCH":
        if not is_file(request):
            raise UnsupportedMediaType(request.content_type or "", detail="send bytes as application/octet-stream")
        commands.continue_upload(
            row, lambda size: read_chunk(request, size), offset=_offset(request), length=length_of(request)
        )
    return _answer(row)


def _offset(request: Request) -> int:
    given = request.headers.get(OFFSET_HEADER, "")
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise InvalidInput(
            f"{OFFSET_HEADER} is {given[:30]!r}; it must be the byte at which the body begins", field=OFFSET_HEADER
        )
    return int(given)


def _answer(row: Upload, *, status: int = 200) -> Response:
    response = Response(_shown(row), status=status)
    response["Location"] = f"/api/uploads/{row.id}"
    response[OFFSET_HEADER] = str(commands.offset_of(row))
    response["Cache-Control"] = "no-store"
    return response


def _shown(row: Upload) -> dict[str, Any]:
    same = ("id", "size", "digest", "expires_at")
    return {name: getattr(row, name) for name in same} | {
        "offset": commands.offset_of(row),
        "stored": row.stored_at is not None,
        "url": f"/api/uploads/{row.id}",
    }
