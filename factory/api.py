"""REST to make a W-Matrix (specification appendix C.1): a job, or at once the result of an equal earlier request."""

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from factory.generation import made_before, plan, result_of
from factory.jobs import GENERATE
from latentmas.blobs import DIGEST
from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.jobs.api import JobOutput, job_answer
from latentmas.jobs.commands import start
from latentmas.jobs.handlers import Json
from latentmas.protocol.canonical import plain
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import PROTOCOL, STANDARDS, Method
from latentmas.rest.endpoints import problems
from latentmas.rest.parameters import StrictSerializer, object_in, read
from latentmas.rest.permissions import GenerateWMatrices, requester
from latentmas.rest.uploads import BoundedJSONParser

DIGEST_OF_PACK = rf"^{DIGEST.pattern}\Z"


class GenerateInput(StrictSerializer):
    protocol = serializers.ChoiceField([PROTOCOL], default=PROTOCOL)
    source_model = serializers.CharField(help_text="Name, hub id or alias.")
    target_model = serializers.CharField(help_text="Name, hub id or alias.")
    method = serializers.ChoiceField([method.value for method in Method], default=Method.LEARNED.value)
    source_pack = serializers.RegexField(DIGEST_OF_PACK, required=False, help_text="Digest of a stored pack.")
    target_pack = serializers.RegexField(DIGEST_OF_PACK, required=False, help_text="Digest of a stored pack.")
    unified_dimension = serializers.IntegerField(
        required=False, min_value=1, max_value=STANDARDS[0], help_text="Chosen on the selection documents without it."
    )


class GeneratedMetricsOutput(serializers.Serializer[Any]):
    expected_quality = serializers.FloatField(help_text="Retention where the basis is functional.")
    information_retention = serializers.FloatField()
    computational_cost = serializers.IntegerField(help_text="Multiply-adds per token.")


class GeneratedCertificateOutput(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(["certified", "refused", "pending"])
    tier = serializers.CharField(required=False)
    grade = serializers.CharField(required=False)
    expires_at = serializers.DateTimeField(required=False)
    code = serializers.CharField(required=False, allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField(), required=False)


class GeneratedOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    unified_dimension = serializers.IntegerField()
    quality_metrics = GeneratedMetricsOutput()
    basis = serializers.ChoiceField([basis.value for basis in Basis])
    method = serializers.CharField()
    source_model = serializers.CharField()
    target_model = serializers.CharField()
    source_pack = serializers.CharField()
    target_pack = serializers.CharField()
    listing_id = serializers.CharField()
    digest = serializers.CharField(help_text="SHA-256 of the W-Matrix file.")
    size = serializers.IntegerField(help_text="Bytes.")
    certificate = GeneratedCertificateOutput()
    url = serializers.CharField()


@extend_schema(
    operation_id="w_matrix_generate",
    parameters=[PARAMETER],
    request=GenerateInput,
    responses={200: GeneratedOutput, 202: JobOutput} | problems(404),
)
@api_view(["POST"])
@permission_classes([GenerateWMatrices])
@parser_classes([BoundedJSONParser])
@idempotent()
def generate(request: Request) -> Response:
    """Make a W-Matrix from stored calibration packs and list it: 200 where these inputs were made before, 202 a job."""
    wanted = read(object_in(request), GenerateInput)
    del wanted["protocol"]
    ordered = plan(**(wanted | {"method": Method(wanted["method"])}))
    if (before := made_before(ordered)) is not None:
        return Response(result_of(before, ordered))
    job = start(GENERATE, arguments=cast(Json, plain(ordered)), requested_by=requester(request))
    return job_answer(job, status=202)
