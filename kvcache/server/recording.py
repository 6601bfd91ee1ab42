"""Measure a run's time, with JAX's compilation apart so that a first call is not taken for a typical one; record it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from kvcache.compression.metrics import MS_PER_SECOND, Metrics
from kvcache.server.models import CodecProfile, CompressionRun, Operation
from latentmas.protocol.quality import Basis

COMPILE_EVENTS = "/jax/core/compile/"


@dataclass(slots=True)
class Clock:
    """Duration of a run in milliseconds; `compile_ms` of them were spent compiling kernels."""

    duration_ms: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list)  # seconds; nested compilations overlap

    @property
    def compile_ms(self) -> float:
        total, reached = 0.0, float("-inf")
        for start, end in sorted(self.spans):
            total += max(0.0, end - max(start, reached))
            reached = max(reached, end)
        return total * MS_PER_SECOND

    @property
    def cold(self) -> bool:
        return bool(self.spans)


_CLOCK: ContextVar[Clock | None] = ContextVar("clock", default=None)


@contextmanager
def clocked() -> Iterator[Clock]:
    """Measure what runs inside, in this thread."""
    _listen()
    clock = Clock()
    before = _CLOCK.set(clock)
    start = time.perf_counter()
    try:
        yield clock
    finally:
        clock.duration_ms = (time.perf_counter() - start) * MS_PER_SECOND
        _CLOCK.reset(before)


@cache
def _listen() -> None:
    """Register once a process; JAX calls the listener in the thread that compiles."""
    import jax.monitoring

    jax.monitoring.register_event_duration_secs_listener(_heard)


def _heard(event: str, duration_secs: float, **_: str | int) -> None:
    clock = _CLOCK.get()
    if clock is not None and event.startswith(COMPILE_EVENTS):
        now = time.perf_counter()
        clock.spans.append((now - duration_secs, now))


def record(operation: Operation, *, clock: Clock, basis: Basis = Basis.ACTIVATION, **columns: Any) -> CompressionRun:
    """Store a run with its measurements; the default basis means that the model itself was not run."""
    return CompressionRun.objects.create(
        operation=operation,
        basis=basis,
        cold=clock.cold,
        compile_ms=clock.compile_ms,
        duration_ms=clock.duration_ms,
        **columns,
    )


def columns_of(metrics: Metrics, profile: CodecProfile | None) -> dict[str, Any]:
    """Return a run's columns for a compression's metrics and for the profile that decoding needs."""
    return {
        "compression_ms": metrics.compression_time_ms,
        "decompression_ms": metrics.decompression_time_ms,
        "original_bytes": metrics.original_bytes,
        "compressed_bytes": metrics.compressed_bytes,
        "coverage": metrics.cumulative_attention,
        "profile": None if profile is None else profile.digest,
    }


def timing(clock: Clock) -> dict[str, Any]:
    """Return an answer's fields about compilation, whose time is part of its other times."""
    return {"compile_ms": clock.compile_ms, "cold": clock.cold}
