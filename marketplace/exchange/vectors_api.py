"""`vectors/align`: map vectors of one embedding model into the space of another. Protocol 1.0 is accepted too."""

import json
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes, renderer_classes
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import numbers
from latentmas.protocol.vectors import read_vectors, write_vectors
from latentmas.rest import answers
from latentmas.rest.answers import CONTENT_TYPE
from latentmas.rest.endpoints import problems
from latentmas.rest.middleware import PROTOCOL
from latentmas.rest.parameters import (
    ArrayField,
    NothingInput,
    StrictSerializer,
    object_in,
    read,
    read_query,
    snake_keys,
)
from latentmas.rest.permissions import AlignVectors
from latentmas.rest.problems import with_headers
from latentmas.rest.uploads import BoundedJSONParser, BytesParser, SafetensorsParser, is_file, read_file
from marketplace.exchange import outputs
from marketplace.exchange.vectors import VectorOrder, align
from marketplace.listings.visibility import viewer_of
from marketplace.sales.paying import PAYMENT, paid

PROTOCOLS = ("LatentMAS/1.0", PROTOCOL)
ALIASES = {"source": "source_model", "target": "target_model", "version": "w_matrix_version"}


class PolicyInput(StrictSerializer):
    minimum_quality = serializers.FloatField(
        required=False, min_value=0, max_value=1, help_text="Least top-1 retrieval; below it nothing is answered."
    )
    # No default: a member that is absent here must not override the parameter given beside the policy.
    require_certificate = serializers.BooleanField(required=False, help_text="True unless said otherwise.")


@extend_schema_field(PolicyInput)
class PolicyField(serializers.Field[Any, Any, Any, Any]):
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("not an object")
        return read(snake_keys(data), PolicyInput)


class AlignVectorsOptions(PolicyInput):
    protocol = serializers.ChoiceField(PROTOCOLS, default=PROTOCOL)
    source_model = serializers.CharField(help_text="Name, hub id or alias.")
    target_model = serializers.CharField(help_text="Name, hub id or alias.")
    w_matrix_version = serializers.CharField(required=False, help_text="MAJOR.MINOR.PATCH; the best by default.")
    normalise = serializers.BooleanField(default=False, help_text="Answer with vectors of length one.")


class AlignVectorsInput(AlignVectorsOptions):
    """Exactly one of `vector` and `vectors`. The policy's members may also stand beside the other parameters."""

    vector = ArrayField(required=False, help_text="[width]")
    vectors = ArrayField(required=False, help_text="[count][width]")
    policy = PolicyField(required=False)


@extend_schema(
    operation_id="latentmas_vectors_align",
    parameters=[AlignVectorsOptions, *PAYMENT],
    request={"application/json": AlignVectorsInput, CONTENT_TYPE: OpenApiTypes.BINARY},
    responses={
        200: outputs.VectorAlignmentOutput,
        (200, CONTENT_TYPE): OpenApiTypes.BINARY,
        **problems(400, 402),
    },
)
@api_view(["POST"])
@permission_classes([AlignVectors])
@parser_classes([BoundedJSONParser, SafetensorsParser, BytesParser])
@renderer_classes([JSONRenderer, answers.SafetensorsRenderer])
def align_vectors(request: Request) -> HttpResponseBase:
    """Map vectors of one model into another's space: JSON, or a safetensors file with the tensor `vectors`."""
    now = timezone.now()
    options = _options_in(request)
    single = "vector" in options
    if is_file(request):
        vectors = read_vectors(read_file(request, limit=settings.KV_CACHE_MAX_BYTES)).array
    elif single:
        vectors = numbers("vector", options["vector"], rank=1)[None]
    else:
        vectors = numbers("vectors", options["vectors"], rank=2)
    order = VectorOrder(
        source_model=options["source_model"],
        target_model=options["target_model"],
        version=options.get("w_matrix_version"),
        minimum_quality=options.get("minimum_quality"),
        require_certificate=options.get("require_certificate", True),
        normalise=options["normalise"],
        payer=viewer_of(request),
    )
    done, headers = paid(request, lambda: align(vectors, order, at=now))
    document = outputs.vector_alignment(done, protocol=options["protocol"], at=now)
    if answers.wants_file(request):
        # Through JSON, so that the header beside a file formats times as a JSON answer does.
        result = json.loads(json.dumps(document, cls=DjangoJSONEncoder))
        name = f"{done.w_matrix.target_model}.safetensors"
        return with_headers(answers.file_answer(write_vectors(done.vectors), name=name, result=result), headers)
    rows = outputs.vector_rows(done.vectors)
    document |= {"aligned_vector": rows[0]} if single else {"aligned_vectors": rows}
    return with_headers(Response(document), headers)


def _options_in(request: Request) -> dict[str, Any]:
    """Return the parameters of a request, its policy among them. Raises ValidationError or InvalidInput."""
    if is_file(request):
        return read_query(request, AlignVectorsOptions)
    read_query(request, NothingInput)
    options = read(object_in(request, aliases=ALIASES), AlignVectorsInput)
    if ("vector" in options) == ("vectors" in options):
        raise InvalidInput("give either vector or vectors", field="vectors")
    policy: dict[str, Any] = options.pop("policy", {})
    return options | policy
