"""Compress, decompress, judge and measure over REST: read the body, call the engine, answer as `Accept` asks."""

from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from kvcache.adapters import ModelAdapter
from kvcache.server import inputs, operations, outputs, payloads
from kvcache.server.operations import Judged
from kvcache.server.payloads import Given
from kvcache.server.queries import get_adapter
from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KIND as RAW
from latentmas.protocol.snapshot import write_snapshot
from latentmas.rest import answers, parameters
from latentmas.rest.endpoints import computing
from latentmas.rest.uploads import is_file, read_file

BOTH = (JSONRenderer, answers.SafetensorsRenderer)


@computing(
    "kv_cache_compress",
    json=inputs.CompressInput,
    query=inputs.CompressOptions,
    answer=outputs.CompressionOutput,
    renderers=BOTH,
)
def compress(request: Request) -> HttpResponseBase:
    """Compress a KV-cache: small arrays as JSON, a raw snapshot as a safetensors body with parameters in the query."""
    options = parameters.read_body(
        request, json=inputs.CompressInput, file=inputs.CompressOptions, aliases=inputs.ALIASES
    )
    given, adapter = given_in(request, options)
    done = operations.compress(given, adapter=adapter, options=options)
    return outputs.compression_answer(request, done, adapter)


@computing(
    "kv_cache_decompress",
    json=inputs.CompressedInput,
    answer=outputs.SnapshotOutput,
    renderers=BOTH,
)
def decompress(request: Request) -> HttpResponseBase:
    """Decompress a .kvz file: the raw snapshot as safetensors, or small arrays as JSON."""
    options = parameters.read_body(
        request, json=inputs.CompressedInput, file=parameters.NothingInput, aliases=inputs.ALIASES
    )
    done = operations.decompress(_file_in(request) if is_file(request) else options["compressed"])
    if answers.wants_file(request):
        name = f"{done.snapshot.frame.model or 'arrays'}.safetensors"
        return answers.file_answer(
            write_snapshot(done.snapshot), name=name, result={"metrics": outputs.decompression_metrics(done)}
        )
    return answers.answer(request, outputs.snapshot_document(done))


@computing(
    "kv_cache_validate_quality",
    json=inputs.ValidateInput,
    query=inputs.ValidateOptions,
    answer=outputs.ValidationOutput,
)
def validate_quality(request: Request) -> Response:
    """Judge a .kvz file: by what it says, or against its original (a snapshot with a tensor `compressed`)."""
    options = parameters.read_body(
        request, json=inputs.ValidateInput, file=inputs.ValidateOptions, aliases=inputs.ALIASES
    )
    judged = _judged(request, options)
    adapter, report = operations.validate(judged, model=options.get("model_name"), options=options)
    return answers.answer(request, outputs.quality_document(report, adapter))


@computing(
    "kv_cache_benchmark",
    json=inputs.BenchmarkInput,
    query=inputs.BenchmarkOptions,
    answer=outputs.MeasurementOutput,
)
def benchmark(request: Request) -> Response:
    """Compress and decompress the arrays several times: medians without the first call, which may compile."""
    options = parameters.read_body(
        request, json=inputs.BenchmarkInput, file=inputs.BenchmarkOptions, aliases=inputs.ALIASES
    )
    given, adapter = given_in(request, options)
    done = operations.benchmark(given, adapter=adapter, options=options, repetitions=options["repetitions"])
    return answers.answer(request, outputs.measurement_document(done, adapter))


def given_in(request: Request, options: dict[str, Any]) -> tuple[Given, ModelAdapter]:
    """Return what is to be compressed and the adapter of its model.

    Raises InvalidInput, DimensionMismatch, ModelNotSupported, or TooLarge by the declared length.
    """
    if not is_file(request):
        adapter = get_adapter(_model(options.get("model_name")))
        return payloads.from_arrays(options, adapter), adapter
    given = payloads.from_file(_file_in(request))
    adapter = get_adapter(_model(options.get("model_name") or given.snapshot.frame.model))
    frame = given.snapshot.frame
    payloads.check_size(frame.geometry.width, frame.tokens, limit=settings.KV_CACHE_MAX_BYTES)
    return payloads.fitted(given, adapter), adapter


def _judged(request: Request, options: dict[str, Any]) -> Judged:
    """Return the .kvz file to judge, with the original where the request holds it."""
    if not is_file(request):
        data = options["compressed"]
        if "keys" not in options and "values" not in options:
            return Judged(data)
        for name in ("keys", "values"):
            if name not in options:
                raise InvalidInput(f"{name} is missing: an original needs both keys and values", field=name)
        adapter = get_adapter(_model(options.get("model_name")))
        return Judged(data, payloads.from_arrays(options, adapter))
    data = _file_in(request)
    file = tensors.parse_tensors(data, max_bytes=len(data))
    if file.document.get("kind") != RAW:
        return Judged(data)
    given = payloads.from_file(file)
    if given.compressed is None:
        raise InvalidInput("the snapshot holds no tensor 'compressed' to be judged", field="compressed")
    return Judged(given.compressed, given)


def _file_in(request: Request) -> bytes:
    return read_file(request, limit=settings.KV_CACHE_MAX_BYTES)


def _model(spelling: str | None) -> str:
    if spelling is None:
        raise InvalidInput("neither the request nor a snapshot names the model", field="model_name")
    return spelling
