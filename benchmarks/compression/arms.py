"""The arms of the comparison: what each does to a snapshot, in real bytes."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.compression.cases import Context
from kvcache.adapters import ModelAdapter
from kvcache.coding import quantised
from kvcache.coding.profile import OpenedProfile
from kvcache.compression.compressor import compress, decompress
from kvcache.compression.container import Container, read_kvz, unpack, write_kvz
from kvcache.compression.plan import Ratio, Target
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.snapshot import KVSnapshot

MS = 1000.0
CURVE = (10.0, 14.0, 20.0, 28.0, 38.0, 52.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`size` counts everything that must be kept or sent but a profile; times are None where they mean nothing."""

    size: int
    restored: KVSnapshot
    encode_ms: float | None = None
    decode_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """`run` returns None where the method says that it cannot."""

    name: str
    run: Callable[[Context], Outcome | None]
    with_profile: bool = False


def own_arms(adapter: ModelAdapter, profile: OpenedProfile) -> list[Arm]:
    """Return this project's methods."""

    def arm(name: str, method: str, target: Target | None) -> Arm:
        with_profile = "transform" in method
        return Arm(
            name,
            lambda context: compressed(context, adapter, method, target, profile if with_profile else None),
            with_profile,
        )

    return [
        *(arm(f"transform {ratio:g}x", "transform", Ratio(ratio)) for ratio in CURVE),
        arm("select + transform 38x", "select+transform", Ratio(38.0)),
        arm("select + transform 76x", "select+transform", Ratio(76.0)),
        arm("quantise 4+3 bit", "quantise", None),
        Arm("quantise 3 bit", quantised_to_3_bits),
        arm("quantise mixed 4x", "quantise", Ratio(4.0)),
        arm("quantise mixed 5x", "quantise", Ratio(5.0)),
        arm("select 25 %", "select", Ratio(4.0)),
        arm("select 5 %", "select", Ratio(20.0)),
        arm("select + quantise 20x", "select+quantise", Ratio(20.0)),
    ]


def compressed(
    context: Context, adapter: ModelAdapter, method: str, target: Target | None, profile: OpenedProfile | None
) -> Outcome | None:
    """Compress to a .kvz file and back; None where the target is out of reach."""
    try:
        made = compress(
            context.snapshot,
            adapter=adapter,
            queries=context.queries if "select" in method else None,
            rope_applied=False,
            method=method,
            target=target,
            profile=profile,
        )
    except QualityBelowThreshold:
        return None
    started = time.perf_counter()
    restored = decompress(made.data, profile=profile)
    elapsed = MS * (time.perf_counter() - started)
    return Outcome(len(made.data), restored, made.metrics.compression_time_ms, elapsed)


def quantised_to_3_bits(context: Context) -> Outcome:
    started = time.perf_counter()
    coded = quantised.encode(context.snapshot, key_bits=3, value_bits=3)
    data = write_kvz(Container(context.snapshot.frame, coded, None, None, {}))
    encoded = time.perf_counter()
    restored = unpack(read_kvz(data))
    return Outcome(len(data), restored, MS * (encoded - started), MS * (time.perf_counter() - encoded))
