"""Compress, decompress and measure on this server, each put on record with the time that compiling took."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.conf import settings

from kvcache import queries
from kvcache.adapters import ModelAdapter
from kvcache.bodies import Given, fitted
from kvcache.compiling import Clock, clocked
from kvcache.figures import Metrics
from kvcache.models import CodecProfile, CompressionRun, Operation
from kvcache.outcomes import Compression, Decompression, Judged, Measurement
from kvcache.plan import target_of
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import TensorFile
from latentmas.rest.parameters import NO_PROFILE

if TYPE_CHECKING:
    from kvcache.coding import profile as codec
    from kvcache.container import Container
    from kvcache.quality import QualityReport

PLAIN_ARRAYS = "plain-arrays"  # what a file of no known model is recorded under
WITH_PROFILE = ("auto", "transform", "select+transform")


def compress(
    given: Given, *, adapter: ModelAdapter, options: Mapping[str, Any], operation: Operation = Operation.COMPRESS
) -> Compression:
    """Compress and record. Raises whatever the engine refuses, and NotFound for an unknown profile."""
    done = _compress(given, adapter=adapter, options=options)
    _record_compression(done, operation, adapter)
    return done


def benchmark(given: Given, *, adapter: ModelAdapter, options: Mapping[str, Any], repetitions: int) -> Measurement:
    """Compress once, then so many times more, decoding each; only the latter count. Raises as `compress` does."""
    timed = {**options, "time_decompression": True}
    first = _compress(given, adapter=adapter, options=timed)
    warm = tuple(_compress(given, adapter=adapter, options=timed) for _ in range(repetitions))
    done = Measurement(first, warm)
    typical = replace(
        warm[0].compressed.metrics,
        compression_time_ms=done.milliseconds("compression_time_ms")["median"],
        decompression_time_ms=done.milliseconds("decompression_time_ms")["median"],
    )
    _record_compression(warm[0], Operation.BENCHMARK, adapter, metrics=typical)
    return done


def decompress(data: bytes) -> Decompression:
    """Decode a .kvz file with the profile it names, and record it.

    Raises InvalidInput, DimensionMismatch, TooLarge, or NotFound where its profile is not published here.
    """
    from kvcache.container import unpack

    container, profile = _opened(data)
    with clocked() as clock:
        snapshot = unpack(container, profile=profile)
    record(
        Operation.DECOMPRESS,
        model=container.frame.model or PLAIN_ARRAYS,
        method=container.encoded.coding,
        width=container.frame.geometry.width,
        clock=clock,
        decompression_ms=clock.duration_ms,
        original_bytes=snapshot.frame.raw_bytes,
        compressed_bytes=len(data),
        tokens=snapshot.frame.tokens,
        tokens_kept=snapshot.frame.tokens,
        profile=container.profile,
    )
    return Decompression(container, snapshot, clock)


def decoded(file: bytes | TensorFile) -> KVSnapshot:
    """Return the snapshot in a .kvz file that something else will be done with, nothing recorded.

    Raises as `decompress` does.
    """
    from kvcache.container import unpack

    container, profile = _opened(file)
    return unpack(container, profile=profile)


def validate(judged: Judged, *, model: str | None, options: Mapping[str, Any]) -> "tuple[ModelAdapter, QualityReport]":
    """Judge a file as far as it can be measured here, and record it. Raises as `decompress` does, or InvalidInput."""
    from kvcache import quality

    container, profile = _opened(judged.data)
    spelling = model or container.frame.model
    if spelling is None:
        raise InvalidInput("neither the request nor the file names the model", field="model_name")
    adapter = queries.get_adapter(spelling)
    original = None if judged.original is None else fitted(judged.original, adapter)
    with clocked() as clock:
        report = quality.validate(
            judged.data,
            adapter=adapter,
            original=None if original is None else original.snapshot,
            queries=None if original is None else original.queries,
            query_positions=None if original is None else original.query_positions,
            rope_applied=options["rope"] == "applied",
            profile=profile,
            max_bytes=settings.KV_CACHE_MAX_BYTES,
        )
    record(
        Operation.VALIDATE,
        clock=clock,
        basis=report.basis,
        model=adapter.model,
        method=container.encoded.coding,
        width=container.frame.geometry.width,
        compressed_bytes=len(judged.data),
        tokens_kept=container.frame.tokens,
        coverage=report.figures["attention_coverage"],
        profile=container.profile,
    )
    return adapter, report


def record(operation: Operation, *, clock: Clock, basis: Basis = Basis.ACTIVATION, **columns: Any) -> CompressionRun:
    """Keep what was measured; the model was not run on this server unless `basis` says so."""
    return CompressionRun.objects.create(
        operation=operation,
        basis=basis,
        cold=clock.cold,
        compile_ms=clock.compile_ms,
        duration_ms=clock.duration_ms,
        **columns,
    )


def columns_of(metrics: Metrics, profile: CodecProfile | None) -> dict[str, Any]:
    """Return what a run's record keeps of a compression's metrics and of the profile that decoding needs."""
    return {
        "compression_ms": metrics.compression_time_ms,
        "decompression_ms": metrics.decompression_time_ms,
        "original_bytes": metrics.original_bytes,
        "compressed_bytes": metrics.compressed_bytes,
        "coverage": metrics.cumulative_attention,
        "profile": None if profile is None else profile.digest,
    }


def needed(profile: CodecProfile | None, metrics: Metrics) -> CodecProfile | None:
    """Return the profile a compression was given where its coding came to use it."""
    return None if metrics.profile_bytes is None else profile


def profile_named(options: Mapping[str, Any], frame: SnapshotFrame) -> CodecProfile | None:
    """Return the profile asked for by digest, or the newest of exactly the snapshot's weights, where it can serve."""
    wanted = options.get("profile")
    if wanted is not None and wanted != NO_PROFILE:
        return queries.get_profile(wanted)
    if wanted == NO_PROFILE or options["method"] not in WITH_PROFILE or frame.is_plain:
        return None
    if frame.model is None or frame.weights is None:
        if options["method"] == "auto":
            return None
        raise InvalidInput(
            f"the method {options['method']!r} needs to know the model and the weights of the cache",
            resolution="Send a snapshot that names them, or `weights` beside the arrays.",
            field="weights",
        )
    return queries.profile_for(frame.model, frame.weights)


def _opened(file: bytes | TensorFile) -> "tuple[Container, codec.OpenedProfile | None]":
    """Return a checked file and the profile that it names; nothing is decoded yet."""
    from kvcache.container import read_kvz

    limit = settings.KV_CACHE_MAX_BYTES
    container = read_kvz(file, max_bytes=limit, max_decoded_bytes=limit)
    row = None if container.profile is None else queries.get_profile(container.profile)
    return container, None if row is None else queries.open_profile(row)


def _compress(given: Given, *, adapter: ModelAdapter, options: Mapping[str, Any]) -> Compression:
    from kvcache import compressor

    frame = given.snapshot.frame
    row = profile_named(options, frame)
    target = target_of(options, adapter)
    profile = None if row is None else queries.open_profile(row)
    with clocked() as clock:
        compressed = compressor.compress(
            given.snapshot,
            adapter=adapter,
            queries=given.queries,
            query_positions=given.query_positions,
            rope_applied=options.get("rope", "applied") == "applied",
            method=options["method"],
            target=target,
            profile=profile,
            time_decompression=options.get("time_decompression", False),
        )
    return Compression(compressed, clock, needed(row, compressed.metrics), frame.tokens, frame.geometry.width)


def _record_compression(
    done: Compression, operation: Operation, adapter: ModelAdapter, *, metrics: Metrics | None = None
) -> None:
    metrics = metrics or done.compressed.metrics
    record(
        operation,
        clock=done.clock,
        model=adapter.model,
        method=done.compressed.method,
        width=done.width,
        tokens=done.tokens,
        tokens_kept=done.kept_tokens,
        **columns_of(metrics, done.profile),
    )
