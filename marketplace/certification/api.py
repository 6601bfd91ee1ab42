"""REST for validators, who measure again what the certifier has measured, and for the published private texts."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.events.types import Metadata
from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.protocol.errors import NotFound
from latentmas.rest.downloads import send_file
from latentmas.rest.endpoints import FILE, problems, reading
from latentmas.rest.parameters import object_in, read
from latentmas.rest.permissions import CertifyWMatrices, requester
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.queries import acting_agent
from marketplace.certification.commands import submit_recertification
from marketplace.certification.inputs import RecertificationInput, submission_from
from marketplace.certification.models import Rotation
from marketplace.listings.queries import offered_version
from marketplace.listings.visibility import viewer_of


class RecertifiedOutput(serializers.Serializer[Any]):
    listing_id = serializers.CharField()
    version = serializers.CharField()
    validator = serializers.CharField(help_text="The agent that submitted it.")
    agrees = serializers.BooleanField(help_text="Whether every figure lies in the certifier's interval.")


class RotationOutput(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    opened_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True, help_text="Null: its texts are private.")
    file_digest = serializers.CharField(allow_null=True)
    file_size = serializers.IntegerField(allow_null=True)


class RotationsOutput(serializers.Serializer[Any]):
    results = RotationOutput(many=True)


@extend_schema(
    operation_id="w_matrices_recertify",
    parameters=[PARAMETER],
    request=RecertificationInput,
    responses={201: RecertifiedOutput, **problems(400, 410)},
)
@api_view(["POST"])
@permission_classes([CertifyWMatrices])
@parser_classes([BoundedJSONParser])
@idempotent()
def recertify(request: Request, listing_id: str, version: str) -> Response:
    """Submit figures of the public cells as an independent validator; whoever agrees is a validator of the version."""
    row = offered_version(listing_id, version, viewer_of(request))
    agent = acting_agent(request)
    submitted = submission_from(read(object_in(request), RecertificationInput), version=row.version, validator=agent.id)
    recorded = submit_recertification(row, submitted, agent=agent, metadata=Metadata(actor=requester(request)))
    answer = {"listing_id": row.listing_id, "version": row.version}
    return Response(answer | {"validator": recorded.validator, "agrees": recorded.agrees}, status=201)


@reading("private_cells", answer=RotationsOutput)
def rotations(request: Request) -> Response:
    """Return the rotations of the certifier's private texts, the newest first."""
    return Response({"results": [RotationOutput(row).data for row in Rotation.objects.all()]})


@extend_schema(operation_id="private_cells_file", responses=FILE)
@api_view(["GET", "HEAD"])
@permission_classes([AllowAny])
def rotation_file(request: Request, number: int) -> HttpResponseBase:
    """Download the seeds, salts and texts of a rotation that has ended."""
    row = Rotation.objects.filter(number=number, file_digest__isnull=False).first()
    if row is None or row.file_digest is None or row.file_size is None:
        raise NotFound(
            f"the texts of rotation {number} are not published",
            resolution="GET /api/private-cells names those that are.",
        )
    return send_file(request._request, digest=row.file_digest, size=row.file_size, name=f"private-cells-{number}.json")
