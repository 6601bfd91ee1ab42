"""Endpoints that need no account: supported models, published profiles, statistics, estimates of savings."""

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import api_view, authentication_classes, parser_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from kvcache.server import catalogue_outputs, inputs, queries, statistics
from kvcache.server.estimates import estimate
from latentmas.rest import answers, parameters
from latentmas.rest.downloads import send_file
from latentmas.rest.endpoints import FILE, KEYS, PROBLEM, example, reading
from latentmas.rest.parameters import object_in, read
from latentmas.rest.uploads import BoundedJSONParser


@reading("kv_cache_models", answer=catalogue_outputs.AdaptersOutput, camel=True, conditional=True)
def models(request: Request) -> Response:
    """List the models whose KV-cache can be compressed, with what compression does to each."""
    parameters.read_query(request, parameters.NothingInput)
    return answers.answer(request, {"models": [catalogue_outputs.adapter_summary(each) for each in queries.adapters()]})


@reading("kv_cache_model", answer=catalogue_outputs.AdapterOutput, camel=True)
def model(request: Request, name: str) -> Response:
    """Return a model's adapter by its name, hub id or an alias: the facts that compression uses, and those unknown."""
    parameters.read_query(request, parameters.NothingInput)
    adapter = queries.get_adapter(name)
    return answers.answer(request, catalogue_outputs.adapter_document(adapter, queries.profile_for(adapter.model)))


@reading(
    "kv_cache_profiles",
    answer=catalogue_outputs.ProfilesOutput,
    query=inputs.ProfilesInput,
    camel=True,
    conditional=True,
)
def profiles(request: Request) -> Response:
    """List the codec profiles that can be downloaded, newest first within a model."""
    wanted = parameters.read_query(request, inputs.ProfilesInput, aliases=inputs.ALIASES)
    rows = queries.list_profiles(model=wanted.get("model_name"))
    return answers.answer(request, {"profiles": [catalogue_outputs.profile_document(row) for row in rows]})


@extend_schema(
    operation_id="kv_cache_profile",
    parameters=[OpenApiParameter("digest", OpenApiTypes.STR, OpenApiParameter.PATH, description="sha256:<hex>")],
    responses=FILE,
)
@api_view(["GET", "HEAD"])
@permission_classes([AllowAny])
def profile(request: Request, digest: str) -> HttpResponseBase:
    """Download a codec profile; `Repr-Digest` (RFC 9530) and the ETag are the SHA-256 of the whole file."""
    row = queries.get_profile(digest)
    return send_file(
        request._request,
        digest=row.digest,
        size=row.size,
        name=f"{row.model}--{row.version}.profile.safetensors",
        headers={"X-LatentMAS-Basis": row.basis},
    )


@reading("kv_cache_statistics", answer=catalogue_outputs.CompressionStatisticsOutput, camel=True)
def totals(request: Request) -> Response:
    """Return what this server has compressed: totals, and medians by operation, model and method."""
    parameters.read_query(request, parameters.NothingInput)
    document = {
        "totals": statistics.totals(),
        "by_kind": statistics.by_kind(),
        "medians_over": statistics.NEWEST,
    }
    return answers.answer(request, document)


@extend_schema(
    operation_id="kv_cache_estimate_savings",
    parameters=[KEYS],
    request=inputs.EstimateInput,
    examples=example({"model_name": "smollm2-135m", "tokens": 4096, "ratio": 20}),
    responses={200: catalogue_outputs.EstimateOutput, **PROBLEM},
)
@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
@parser_classes([BoundedJSONParser])
def estimate_savings(request: Request) -> Response:
    """Say what compressing would save and on what measurements that rests; without any, only what arithmetic gives."""
    options = read(object_in(request, aliases=inputs.ALIASES), inputs.EstimateInput)
    adapter = queries.get_adapter(options["model_name"])
    return answers.answer(request, estimate(adapter, tokens=options["tokens"], options=options))
