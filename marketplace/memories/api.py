"""REST for an account's stored memories (KV-caches): store, list, download, delete."""

from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, once
from latentmas.rest.answers import CONTENT_TYPE, digest_of
from latentmas.rest.downloads import send_file
from latentmas.rest.endpoints import FILE, PROBLEM, problems
from latentmas.rest.permissions import ReadMemories, ScopePermission, WriteMemories
from latentmas.rest.uploads import BytesParser, SafetensorsParser, is_file, read_file
from marketplace.memories import queries
from marketplace.memories.commands import delete_memory, store_memory
from marketplace.memories.models import Kind, StoredMemory


class ReadOrWriteMemories(ScopePermission):
    """Asks for `memories:read` where a request only looks, and for `memories:write` otherwise."""

    def has_permission(self, request: Request, view: Any) -> bool:
        self.scope = (ReadMemories if request.method in SAFE_METHODS else WriteMemories).scope
        return super().has_permission(request, view)


class MemoryOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    kind = serializers.ChoiceField(Kind.choices)
    model = serializers.CharField()
    weights = serializers.CharField(allow_null=True)
    context = serializers.CharField(  # type: ignore[assignment]  # declared fields never become attributes
        allow_null=True, help_text="SHA-256 of the context's text, where it is known."
    )
    profile = serializers.CharField(allow_null=True, help_text="The codec profile that a .kvz file needs.")
    tokens = serializers.IntegerField()
    next_position = serializers.IntegerField()
    width = serializers.IntegerField()
    size = serializers.IntegerField()
    digest = serializers.CharField()
    created_at = serializers.DateTimeField()
    url = serializers.CharField()
    file_url = serializers.CharField()


class MemoriesOutput(serializers.Serializer[Any]):
    results = MemoryOutput(many=True)


@extend_schema(methods=["GET"], operation_id="stored_memories_list", responses={200: MemoriesOutput, **PROBLEM})
@extend_schema(
    methods=["POST"],
    operation_id="stored_memories_create",
    parameters=[PARAMETER],
    request={CONTENT_TYPE: OpenApiTypes.BINARY},
    responses={201: MemoryOutput, 200: MemoryOutput, **problems(404)},
)
@api_view(["GET", "POST"])
@permission_classes([ReadOrWriteMemories])
@parser_classes([SafetensorsParser, BytesParser])
def memories(request: Request) -> HttpResponseBase:
    """List your memories, newest first, or store one: a raw snapshot or a .kvz file. The same file is kept once."""
    owner = cast(User, request.user)
    if request.method == "GET":
        return Response({"results": [shown(row) for row in queries.memories_of(owner)]})
    if not is_file(request):
        raise UnsupportedMediaType(request.content_type or "", detail=f"send the file itself, as {CONTENT_TYPE}")
    data = read_file(request, limit=settings.KV_CACHE_MAX_BYTES)
    # Not atomic: to read the file takes seconds, and the same file again is the same memory.
    return once(request, lambda: _stored(owner, data), body=digest_of(data), atomic=False)


@extend_schema(methods=["GET"], operation_id="stored_memories_retrieve", responses={200: MemoryOutput, **PROBLEM})
@extend_schema(
    methods=["DELETE"], operation_id="stored_memories_delete", request=None, responses={204: None, **PROBLEM}
)
@api_view(["GET", "DELETE"])
@permission_classes([ReadOrWriteMemories])
def memory(request: Request, memory_id: str) -> Response:
    """Return what is known about one of your memories, or delete it with its file."""
    owner = cast(User, request.user)
    if request.method == "DELETE":
        delete_memory(owner, memory_id=memory_id)
        return Response(status=204)
    return Response(shown(queries.get_memory(owner, memory_id=memory_id)))


@extend_schema(
    operation_id="stored_memories_file",
    responses=FILE,
)
@api_view(["GET", "HEAD"])
@permission_classes([ReadMemories])
def file(request: Request, memory_id: str) -> HttpResponseBase:
    """Download the file of one of your memories."""
    row = queries.get_memory(cast(User, request.user), memory_id=memory_id)
    suffix = "kvz" if row.kind == Kind.KVZ else "safetensors"
    return send_file(
        request._request,
        digest=row.digest,
        size=row.size,
        name=f"{row.model}--{row.id}.{suffix}",
        private=True,
    )


def shown(row: StoredMemory) -> dict[str, Any]:
    same = ("id", "kind", "model", "weights", "context", "profile", "tokens", "next_position", "width", "size")
    url = f"/api/stored-memories/{row.id}"
    return {name: getattr(row, name) for name in (*same, "digest", "created_at")} | {
        "url": url,
        "file_url": f"{url}/file",
    }


def _stored(owner: User, data: bytes) -> Response:
    row, new = store_memory(owner, data=data, max_decoded_bytes=settings.KV_CACHE_MAX_BYTES)
    response = Response(shown(row), status=201 if new else 200)
    response["Location"] = f"/api/stored-memories/{row.id}"
    return response
