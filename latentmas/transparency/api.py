"""The sealed log over REST: checkpoints, tiles and entries by C2SP tlog-tiles, proofs, keys and cosignatures."""

import base64
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, parser_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.protocol.errors import NotFound
from latentmas.protocol.merkle import TileName
from latentmas.protocol.tile_paths import read_tile_path
from latentmas.protocol.verification.proofs import leaf_hash_of
from latentmas.rest.parameters import StrictSerializer, read_query
from latentmas.rest.problems import ProblemOutput
from latentmas.rest.uploads import TextParser, read_text
from latentmas.transparency import checkpoints, queries
from latentmas.transparency.events import Purpose
from latentmas.transparency.keys import verifier_key
from latentmas.transparency.models import SigningKey

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
MAX_POSITION = (1 << 63) - 1
MAX_LEVEL = 5  # 256 ** 8 leaves are more than there are positions
FOR_EVER = "public, max-age=31536000, immutable"


def _problems(*statuses: int) -> dict[Any, Any]:
    return {(status, "application/problem+json"): ProblemOutput for status in statuses}


NOTE = {(200, "text/plain"): OpenApiTypes.STR}
TILE = {(200, BYTES): OpenApiTypes.BINARY, **_problems(404)}
INDEX = OpenApiParameter(
    "index",
    OpenApiTypes.STR,
    OpenApiParameter.PATH,
    description="Groups of three digits, all but the last after an x, such as `x001/234`; `.p/<width>` if partial.",
)


class ProofInput(StrictSerializer):
    position = serializers.IntegerField(min_value=1, max_value=MAX_POSITION)
    tree_size = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_POSITION, help_text="That of the last checkpoint if left out."
    )


class ConsistencyInput(StrictSerializer):
    def get_fields(self) -> dict[str, Any]:
        """Declare `from`, which is no name for an attribute, and `to`."""
        return {name: serializers.IntegerField(min_value=0, max_value=MAX_POSITION) for name in ("from", "to")}


class OpenedOutput(serializers.Serializer[Any]):
    salt = serializers.CharField(help_text="In base64.")
    body = serializers.CharField(help_text="The event as canonical JSON, in base64.")


class ProofOutput(serializers.Serializer[Any]):
    position = serializers.IntegerField()
    index = serializers.IntegerField(help_text="Of the leaf: one less than the position.")
    tree_size = serializers.IntegerField()
    entry = serializers.CharField(help_text="What the leaf is the hash of, in base64: position, type and two digests.")
    leaf_hash = serializers.CharField(help_text="SHA-256(0x00 || entry), in base64.")
    proof = serializers.ListField(child=serializers.CharField(), help_text="RFC 6962 audit path, in base64.")
    checkpoint = serializers.CharField(allow_null=True, help_text="That of exactly this size, where one was sealed.")
    event = OpenedOutput(allow_null=True, help_text="SHA-256(salt || body) is the entry's `body`; null if private.")


class ConsistencyOutput(serializers.Serializer[Any]):
    proof = serializers.ListField(child=serializers.CharField(), help_text="RFC 6962 consistency proof, in base64.")


class KeyOutput(serializers.Serializer[Any]):
    key_id = serializers.CharField(help_text="SHA-256 of the public key; `keyid` in the envelopes of certificates.")
    purpose = serializers.ChoiceField([each.value for each in Purpose])
    algorithm = serializers.CharField()
    public_key = serializers.CharField(help_text="In base64.")
    verifier_key = serializers.CharField(allow_null=True, help_text="Of the log's keys: name+id+base64.")
    state = serializers.ChoiceField(["active", "retired", "revoked"])
    created_at = serializers.DateTimeField()
    retired_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    revocation_reason = serializers.CharField(allow_null=True)


class KeysOutput(serializers.Serializer[Any]):
    origin = serializers.CharField(help_text="The log's name in its checkpoints.")
    keys = KeyOutput(many=True)


@extend_schema(operation_id="log_checkpoint", responses={**NOTE, **_problems(404)})
@api_view(["GET"])
@permission_classes([AllowAny])
def checkpoint(request: Request) -> HttpResponse:
    """Return the last checkpoint (C2SP tlog-checkpoint), with the cosignatures of witnesses."""
    return _text(checkpoints.cosigned_note(checkpoints.latest()))


@extend_schema(operation_id="log_tile", parameters=[INDEX], responses=TILE)
@api_view(["GET"])
@permission_classes([AllowAny])
def tile(request: Request, level: int, index: str) -> HttpResponse:
    """Return a tile of the Merkle tree (C2SP tlog-tiles): 256 hashes, or the width that the path names."""
    number, width = _read_index(index)
    if level > MAX_LEVEL:
        raise NotFound(f"the tree has no tiles of level {level}")
    return _for_ever(queries.tile(TileName(level, number), width))


@extend_schema(operation_id="log_entries", parameters=[INDEX], responses=TILE)
@api_view(["GET"])
@permission_classes([AllowAny])
def entries(request: Request, index: str) -> HttpResponse:
    """Return the entries under a tile of level 0 (C2SP tlog-tiles): digests, not the bodies of events."""
    return _for_ever(queries.entry_bundle(*_read_index(index)))


@extend_schema(operation_id="log_proof", parameters=[ProofInput], responses={200: ProofOutput, **_problems(404, 422)})
@api_view(["GET"])
@permission_classes([AllowAny])
def proof(request: Request) -> Response:
    """Prove that an event is in the log."""
    found = queries.inclusion(**read_query(request, ProofInput))
    opened = found.opened
    return Response(
        {
            "position": found.position,
            "index": found.position - 1,
            "tree_size": found.tree_size,
            "entry": _base64(found.entry),
            "leaf_hash": _base64(leaf_hash_of(found.entry)),
            "proof": _hashes(found.proof),
            "checkpoint": found.checkpoint,
            "event": None if opened is None else {"salt": _base64(opened.salt), "body": _base64(opened.body)},
        }
    )


@extend_schema(
    operation_id="log_consistency",
    parameters=[ConsistencyInput],
    responses={200: ConsistencyOutput, **_problems(404, 422)},
)
@api_view(["GET"])
@permission_classes([AllowAny])
def consistency(request: Request) -> Response:
    """Prove that the log at one size begins with the log at a smaller one."""
    wanted = read_query(request, ConsistencyInput)
    return Response({"proof": _hashes(queries.consistency(wanted["from"], wanted["to"]))})


@extend_schema(operation_id="log_keys", responses=KeysOutput)
@api_view(["GET"])
@permission_classes([AllowAny])
def keys(request: Request) -> Response:
    """Return the public keys that have signed checkpoints and certificates, retired and revoked ones too."""
    return Response({"origin": settings.LOG_ORIGIN, "keys": [_key(row) for row in SigningKey.objects.all()]})


@extend_schema(
    operation_id="log_cosignatures",
    request={"text/plain": OpenApiTypes.STR},
    responses={**NOTE, **_problems(400, 403, 404, 409, 413, 415, 422)},
)
@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
@parser_classes([TextParser])
def cosignatures(request: Request) -> HttpResponse:
    """Take a checkpoint with cosignatures of trusted witnesses (C2SP tlog-cosignature), which authorise it."""
    return _text(checkpoints.cosigned_note(checkpoints.accept_cosignatures(read_text(request))))


def _key(row: SigningKey) -> dict[str, object]:
    same = ("key_id", "purpose", "public_key", "state", "created_at", "retired_at", "revoked_at", "revocation_reason")
    return {name: getattr(row, name) for name in same} | {
        "algorithm": "ed25519",
        "verifier_key": verifier_key(row) if row.purpose == Purpose.LOG else None,
    }


def _read_index(path: str) -> tuple[int, int]:
    """Return a tile's index and width. Raises NotFound."""
    if (read := read_tile_path(path)) is None or read[0] > MAX_POSITION:
        raise NotFound(f"{path[:80]!r} is the path of no tile; they are written like x001/234 and 005.p/17")
    return read


def _text(note: str) -> HttpResponse:
    return HttpResponse(note, content_type=TEXT, headers={"Cache-Control": "no-cache"})


def _for_ever(data: bytes) -> HttpResponse:
    return HttpResponse(data, content_type=BYTES, headers={"Cache-Control": FOR_EVER})


def _hashes(hashes: Sequence[bytes]) -> list[str]:
    return [_base64(each) for each in hashes]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
