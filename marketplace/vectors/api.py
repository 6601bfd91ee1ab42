"""`vectors/align`: the vector exchange of version 1.0, measured and certified like the rest."""

import json

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, parser_classes, permission_classes, renderer_classes
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from kvcache import responses
from latentmas.downloads import CONTENT_TYPE
from latentmas.parsers import BoundedJSONParser, BytesParser, SafetensorsParser, is_file, read_file
from latentmas.problems import ProblemOutput
from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array, numbers
from latentmas.scopes import AlignVectors
from marketplace.vectors import inputs, outputs
from marketplace.vectors.aligning import Order, align


@extend_schema(
    operation_id="latentmas_vectors_align",
    parameters=[inputs.AlignVectorsOptions],
    request={"application/json": inputs.AlignVectorsInput, CONTENT_TYPE: OpenApiTypes.BINARY},
    responses={
        200: outputs.VectorAlignmentOutput,
        (200, CONTENT_TYPE): OpenApiTypes.BINARY,
        (400, "application/problem+json"): ProblemOutput,
    },
)
@api_view(["POST"])
@permission_classes([AlignVectors])
@parser_classes([BoundedJSONParser, SafetensorsParser, BytesParser])
@renderer_classes([JSONRenderer, responses.SafetensorsRenderer])
def align_vectors(request: Request) -> HttpResponseBase:
    """Map vectors of one model into another's space: JSON, or a safetensors file with the tensor `vectors`."""
    now = timezone.now()
    options = inputs.options_in(request)
    single = "vector" in options
    if is_file(request):
        vectors = _in_file(read_file(request, limit=settings.KV_CACHE_MAX_BYTES))
    elif single:
        vectors = numbers("vector", options["vector"], rank=1)[None]
    else:
        vectors = numbers("vectors", options["vectors"], rank=2)
    order = Order(
        source_model=options["source_model"],
        target_model=options["target_model"],
        version=options.get("w_matrix_version"),
        minimum_quality=options.get("minimum_quality"),
        require_certificate=options.get("require_certificate", True),
        normalise=options["normalise"],
    )
    done = align(vectors, order, at=now)
    document = outputs.alignment_document(done, protocol=options["protocol"], at=now)
    if responses.wants_file(request):
        # Through JSON, so that the header beside a file says moments as a JSON answer does.
        result = json.loads(json.dumps(document, cls=DjangoJSONEncoder))
        name = f"{done.w_matrix.target_model}.safetensors"
        return responses.file_answer(outputs.to_file(done.vectors), name=name, result=result)
    rows = outputs.listed(done.vectors)
    return Response(document | ({"aligned_vector": rows[0]} if single else {"aligned_vectors": rows}))


def _in_file(data: bytes) -> Array:
    """Return the vectors `[count, width]` in a file, float32. Raises InvalidInput."""
    file = tensors.parse_tensors(data, max_bytes=len(data))
    if file.document.get("kind") != outputs.KIND or set(file.tensors) != {outputs.KIND}:
        raise InvalidInput(
            f"the file must say kind {outputs.KIND!r} and hold one tensor, {outputs.KIND!r}; it holds "
            f"{', '.join(sorted(file.tensors)) or 'none'}",
            field="body",
        )
    return numbers(outputs.KIND, file.read(outputs.KIND), rank=2)
