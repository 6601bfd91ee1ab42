"""Compress a KV snapshot to a `.kvz` container that reaches a target, and undo it. Knows no Django."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kvcache.adapters import ModelAdapter
from kvcache.attention.selection import selector
from kvcache.compression.container import read_kvz, unpack
from kvcache.compression.metrics import MS_PER_SECOND, Metrics
from kvcache.compression.plan import Method, Plan, Target, plan_for
from kvcache.compression.search import CompressionJob, Draft, draft
from latentmas.protocol.snapshot import MAX_BYTES, KVSnapshot, needed
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from kvcache.coding.profile import OpenedProfile


@dataclass(frozen=True, slots=True)
class Compressed:
    """The container's bytes and what was measured. `kept` are indices into the given snapshot, None: all of it.

    `expected_kl` is the KL in nats that the code is expected not to exceed. It is an estimate from the profile's
    calibration (see `rate.step_for_kl`), never a guarantee; None where the coding cannot tell.
    """

    data: bytes
    metrics: Metrics
    method: Method  # what was done; never "auto"
    kept: Array | None
    target: Target | None
    expected_kl: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the target was reached; False only where `max_tokens` kept a selection below its threshold.

        Of a bound on the KL it says that a step was found which is expected to hold it; the KL was not measured.
        """
        coverage = self.metrics.cumulative_attention
        wanted = getattr(self.target, "coverage", None)
        return wanted is None or coverage is None or coverage >= wanted


def compress(
    snapshot: KVSnapshot,
    *,
    adapter: ModelAdapter,
    queries: object | None = None,
    query_positions: object | None = None,
    rope_applied: bool = True,
    method: str = "auto",
    target: Target | None = None,
    profile: "OpenedProfile | None" = None,
    time_decompression: bool = False,
) -> Compressed:
    """Return the compressed snapshot; the same input gives the same bytes.

    Method "auto" is the transform code where a profile is given; otherwise it quantises for a ratio and selects for a
    threshold. Queries are `[layers, n, query_heads, head_dim]`, at the last n positions unless said otherwise, with
    RoPE applied unless `rope_applied` is False. Raises InvalidInput, DimensionMismatch or ModelNotSupported naming the
    field, and QualityBelowThreshold where the target is out of reach.
    """
    started = time.perf_counter()
    frame = snapshot.frame
    adapter.accept(frame)
    if profile is not None:
        profile.accept(frame)
    plan = plan_for(method, target, adapter=adapter, with_profile=profile is not None, with_queries=queries is not None)
    left, tokens = needed(snapshot)
    choose = (
        selector(left, queries, query_positions, adapter=adapter, rope_applied=rope_applied)
        if queries is not None and (plan.selection is not None or plan.may_drop)
        else None
    )
    made = draft(CompressionJob(snapshot=left, plan=plan, adapter=adapter, profile=profile, choose=choose))
    elapsed = MS_PER_SECOND * (time.perf_counter() - started)
    decompression = _decompression_ms(made.data, profile) if time_decompression else None
    return Compressed(
        data=made.data,
        metrics=_metrics(made, left, elapsed, decompression, profile),
        method=_method(plan, made),
        kept=_kept(made, tokens, frame.tokens),
        target=target,
        expected_kl=made.expected_kl,
    )


def decompress(
    data: bytes | Path,
    *,
    profile: "OpenedProfile | None" = None,
    max_bytes: int = MAX_BYTES,
    max_decoded_bytes: int = MAX_BYTES,
) -> KVSnapshot:
    """Return the snapshot in a container, at its original positions. Raises InvalidInput, TooLarge, DimensionMismatch.

    A transform-coded container needs the very profile that it was coded with.
    """
    return unpack(read_kvz(data, max_bytes=max_bytes, max_decoded_bytes=max_decoded_bytes), profile=profile)


def _decompression_ms(data: bytes, profile: "OpenedProfile | None") -> float:
    started = time.perf_counter()
    decompress(data, profile=profile)
    return MS_PER_SECOND * (time.perf_counter() - started)


def _metrics(
    made: Draft, left: KVSnapshot, elapsed: float, decompression: float | None, profile: "OpenedProfile | None"
) -> Metrics:
    return Metrics(
        compression_time_ms=elapsed,
        decompression_time_ms=decompression,
        original_bytes=left.frame.raw_bytes,
        compressed_bytes=len(made.data),
        token_savings=0 if made.kept is None else left.frame.tokens - len(made.kept),
        cumulative_attention=made.coverage,
        profile_bytes=None if profile is None or made.coding != "transform" else profile.size,
    )


def _method(plan: Plan, made: Draft) -> Method:
    """Return the method applied: to reach a ratio, "quantise" may have dropped tokens as well."""
    return "select+quantise" if plan.method == "quantise" and made.kept is not None else plan.method


def _kept(made: Draft, tokens: Array, given: int) -> Array | None:
    if made.kept is None:
        return None if len(tokens) == given else tokens
    return tokens[made.kept]
