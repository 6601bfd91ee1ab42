"""REST for W-Matrix files: name the versions that have a given file, and download the file of a version."""

import hashlib
from typing import Any

from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, parser_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis
from latentmas.rest.downloads import send_file
from latentmas.rest.endpoints import FILE, problems
from latentmas.rest.parameters import read, snake_keys
from latentmas.rest.problems import ProblemOutput
from latentmas.rest.uploads import CHUNK_BYTES, BoundedJSONParser, BytesParser, SafetensorsParser, is_file
from marketplace.listings import queries
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.obtaining import remember_obtained
from marketplace.listings.paying import has_price
from marketplace.listings.rest import inputs, outputs
from marketplace.listings.visibility import viewer_of
from marketplace.sales.paying import PAYMENT, paid


class MatchOutput(serializers.Serializer[Any]):
    listing_id = serializers.CharField()
    version = serializers.CharField()
    source_model = serializers.CharField()
    target_model = serializers.CharField()
    basis = serializers.ChoiceField([basis.value for basis in Basis])
    certification = outputs.CertificationOutput(allow_null=True)
    yanked = serializers.BooleanField()
    url = serializers.CharField()


class VerificationOutput(serializers.Serializer[Any]):
    valid = serializers.BooleanField(help_text="Whether a version on offer has exactly this file.")
    digest = serializers.CharField()
    matches = MatchOutput(many=True)


@extend_schema(
    operation_id="w_matrices_verify",
    request={"application/json": inputs.VerifyInput, "application/vnd.safetensors": OpenApiTypes.BINARY},
    responses={200: VerificationOutput, (422, "application/problem+json"): ProblemOutput},
)
@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
@parser_classes([BoundedJSONParser, SafetensorsParser, BytesParser])
def verify(request: Request) -> Response:
    """Say whether a file is exactly one that was published here, and as what."""
    digest = _hash_of_body(request) if is_file(request) else _checksum_of(request)
    now = timezone.now()
    rows = queries.versions_with_file(digest)
    matches = [
        {
            "listing_id": row.listing_id,
            "version": row.version,
            "source_model": row.source_model,
            "target_model": row.target_model,
            "basis": row.basis,
            "certification": outputs.certification(row, at=now),
            "yanked": row.yanked,
            "url": f"/api/w-matrices/{row.listing_id}/versions/{row.version}",
        }
        for row in rows
    ]
    return Response({"valid": any(row.offered for row in rows), "digest": digest, "matches": matches})


@extend_schema(
    operation_id="w_matrices_file",
    parameters=PAYMENT,
    responses=FILE | problems(402, 403, 409, 410),
)
@api_view(["GET", "HEAD"])
@permission_classes([AllowAny])
def file(request: Request, listing_id: str, version: str) -> HttpResponseBase:
    """Download the W-Matrix file; `Repr-Digest` (RFC 9530) and the ETag are the SHA-256 of the whole file."""
    viewer = viewer_of(request)
    row, paid_by = paid(request, lambda: queries.obtainable_version(listing_id, version, viewer))
    answer = send_file(
        request._request,
        digest=row.file_digest,
        size=row.file_size,
        name=row.file_name,
        private=row.access != Access.PUBLIC or has_price(row),
        headers={"X-LatentMAS-Basis": row.basis, **paid_by},
    )
    if request.method == "GET" and answer.status_code < 400:
        remember_obtained(row, viewer)
    return answer


def _hash_of_body(request: Request) -> str:
    """Return the digest of the body, hashed as it arrives; the middleware has checked its declared length."""
    sha256 = hashlib.sha256()
    while chunk := request._request.read(CHUNK_BYTES):
        sha256.update(chunk)
    return f"sha256:{sha256.hexdigest()}"


def _checksum_of(request: Request) -> str:
    if not isinstance(request.data, dict):
        raise InvalidInput('the body is not an object; send {"checksum": "sha256:..."}', field="checksum")
    wanted = read(snake_keys(request.data, aliases=inputs.ALIASES), inputs.VerifyInput)
    checksum: str = wanted["checksum"]
    return checksum
