"""Compress, decompress, validate and benchmark on this server, and record each run with its times."""

import statistics as stats
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.conf import settings

from kvcache.adapters import ModelAdapter
from kvcache.compression.metrics import Metrics
from kvcache.compression.plan import NO_PROFILE, target_of
from kvcache.server import queries
from kvcache.server.first_token import FirstToken, first_token
from kvcache.server.models import CodecProfile, Operation
from kvcache.server.payloads import Given, fitted
from kvcache.server.recording import Clock, clocked, columns_of, record
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import TensorFile

if TYPE_CHECKING:
    from kvcache.coding import profile as codec
    from kvcache.compression.compressor import Compressed
    from kvcache.compression.container import Container
    from kvcache.compression.quality import QualityReport

PLAIN_ARRAYS = "plain-arrays"  # recorded as the model of a file that names none
WITH_PROFILE = ("auto", "transform", "select+transform")


@dataclass(frozen=True, slots=True)
class Compression:
    compressed: "Compressed"
    clock: Clock
    profile: CodecProfile | None  # the one that decoding needs
    tokens: int
    width: int  # numbers in one token's vector

    @property
    def kept_tokens(self) -> int:
        return self.tokens if self.compressed.kept is None else len(self.compressed.kept)


@dataclass(frozen=True, slots=True)
class Decompression:
    container: "Container"
    snapshot: KVSnapshot
    clock: Clock


@dataclass(frozen=True, slots=True)
class Judged:
    """A .kvz file to be judged, and the cache it was made from where the request holds it."""

    data: bytes
    original: Given | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """`warm` are the repetitions, `first` is the call before them, which may have compiled."""

    first: Compression
    warm: tuple[Compression, ...]
    first_token: FirstToken

    def milliseconds(self, name: str) -> dict[str, float]:
        """Return the median, least and most of one of the metrics' times."""
        times = [float(getattr(each.compressed.metrics, name)) for each in self.warm]
        return {"median": stats.median(times), "least": min(times), "most": max(times)}


def compress(
    given: Given, *, adapter: ModelAdapter, options: Mapping[str, Any], operation: Operation = Operation.COMPRESS
) -> Compression:
    """Compress and record. Raises whatever the engine refuses, and NotFound for an unknown profile."""
    done = _compress(given, adapter=adapter, options=options)
    _record_compression(done, operation, adapter)
    return done


def benchmark(given: Given, *, adapter: ModelAdapter, options: Mapping[str, Any], repetitions: int) -> Measurement:
    """Compress and decode once, then `repetitions` times, and record their median times. Raises as `compress` does.

    With the option `measure_ttft` the model that made the cache is run, if it runs here.
    """
    timed = {**options, "time_decompression": True}
    first = _compress(given, adapter=adapter, options=timed)
    warm = tuple(_compress(given, adapter=adapter, options=timed) for _ in range(repetitions))
    found = FirstToken()
    if options["measure_ttft"]:
        found = first_token(given.snapshot.frame, lambda: _unpacked(warm[0]))
    done = Measurement(first, warm, found)
    typical = replace(
        warm[0].compressed.metrics,
        compression_time_ms=done.milliseconds("compression_time_ms")["median"],
        decompression_time_ms=done.milliseconds("decompression_time_ms")["median"],
    )
    _record_compression(warm[0], Operation.BENCHMARK, adapter, metrics=typical)
    return done


def _unpacked(done: Compression) -> KVSnapshot:
    from kvcache.compression import compressor

    profile = None if done.profile is None else queries.open_profile(done.profile)
    return compressor.decompress(done.compressed.data, profile=profile)


def decompress(data: bytes) -> Decompression:
    """Decode a .kvz file with the profile it names, and record it.

    Raises InvalidInput, DimensionMismatch, TooLarge, or NotFound where its profile is not published here.
    """
    from kvcache.compression.container import unpack

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
    """Return the snapshot in a .kvz file, for further processing; no run is recorded.

    Raises as `decompress` does.
    """
    from kvcache.compression.container import unpack

    container, profile = _opened(file)
    return unpack(container, profile=profile)


def validate(judged: Judged, *, model: str | None, options: Mapping[str, Any]) -> "tuple[ModelAdapter, QualityReport]":
    """Judge a file as far as it can be measured here, and record it; what the file claims of itself is not recorded.

    Raises as `decompress` does, or InvalidInput.
    """
    from kvcache.compression import quality

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
        coverage=report.measured("attention_coverage"),
        profile=container.profile,
    )
    return adapter, report


def needed(profile: CodecProfile | None, metrics: Metrics) -> CodecProfile | None:
    """Return the profile where the compression's coding used it, otherwise None."""
    return None if metrics.profile_bytes is None else profile


def profile_named(options: Mapping[str, Any], frame: SnapshotFrame) -> CodecProfile | None:
    """Return the profile asked for by digest, otherwise the newest for the snapshot's weights; None for no profile."""
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
    from kvcache.compression.container import read_kvz

    limit = settings.KV_CACHE_MAX_BYTES
    container = read_kvz(file, max_bytes=limit, max_decoded_bytes=limit)
    row = None if container.profile is None else queries.get_profile(container.profile)
    return container, None if row is None else queries.open_profile(row)


def _compress(given: Given, *, adapter: ModelAdapter, options: Mapping[str, Any]) -> Compression:
    from kvcache.compression import compressor

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
