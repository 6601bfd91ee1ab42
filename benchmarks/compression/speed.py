"""How long selection, encoding and decoding take, the first call apart from the usual one."""

import functools as ft
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from awareness_sdk.transformers_bridge import cache_of
from benchmarks.compression.cases import Context, read_context
from factory.runners.model import RunningModel
from kvcache.adapters import ModelAdapter
from kvcache.attention.selection import selector
from kvcache.coding.profile import OpenedProfile
from kvcache.compression.compressor import compress, decompress
from kvcache.compression.plan import KLBound, Ratio, Target
from kvcache.rows import pack_rows, unpack_rows
from kvcache.server.recording import clocked
from latentmas.protocol.plain import plain_queries, plain_snapshot
from latentmas.protocol.snapshot import KVSnapshot, whole

MS = 1000.0
TOKENS, DIMENSIONS, THRESHOLD = 100, 128, 0.9  # the specification's case
REPETITIONS = 7


def compile_afresh(folder: Path) -> None:
    """Let JAX keep what it compiles in an empty folder, so that first calls are really first. Call before any other."""
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))


def selection_row(adapter: ModelAdapter) -> dict[str, object]:
    """Return the times of the specification's case: plain arrays, no RoPE."""
    keys, values, queries = np.random.default_rng(1).standard_normal((3, TOKENS, DIMENSIONS)).astype(np.float32)
    snapshot, asked = plain_snapshot(keys, values), plain_queries(queries[-8:])
    return {"what": f"select, {TOKENS} tokens x {DIMENSIONS}, 8 queries"} | _timed(
        lambda: selector(snapshot, asked, adapter=adapter)(THRESHOLD, adapter.min_tokens, TOKENS), repetitions=200
    )


def coding_rows(context: Context, adapter: ModelAdapter, profile: OpenedProfile) -> list[dict[str, object]]:
    """Return the times of encoding and decoding a real snapshot to 20x and to a bound."""
    rows: list[dict[str, object]] = []
    tokens = context.snapshot.frame.tokens
    targets: tuple[tuple[str, str, Target | None], ...] = (
        ("transform 20x", "transform", Ratio(20.0)),
        ("transform, KL at most 0.01", "transform", KLBound(0.01)),
        ("quantise 4+3 bit", "quantise", None),
    )
    for name, method, target in targets:
        used = profile if method == "transform" else None
        encode = ft.partial(compress, context.snapshot, adapter=adapter, method=method, target=target, profile=used)
        rows.append({"what": f"encode {tokens} tokens, {name}"} | _timed(encode))
        decode = ft.partial(decompress, encode().data, profile=used)
        rows.append({"what": f"decode {tokens} tokens, {name}"} | _timed(decode))
    return rows


def first_token_rows(
    model: RunningModel, ids: Sequence[int], adapter: ModelAdapter, profile: OpenedProfile
) -> list[dict[str, object]]:
    """Return the time to the first token: from the text, and from a file, which has to be decoded."""
    snapshot = read_context(model, ids).snapshot
    rows: list[dict[str, object]] = [
        {"what": f"first token after reading {len(ids)} tokens of text"}
        | _timed(lambda: model.log_probabilities(model.prefill(ids), ids[-1:], first_position=1 + len(ids)))
    ]
    targets: tuple[tuple[str, Target | None], ...] = (("transform", Ratio(38.0)), ("quantise", None))
    for method, target in targets:
        used = profile if method == "transform" else None
        data = compress(snapshot, adapter=adapter, method=method, target=target, profile=used).data
        rows.append(
            {"what": f"first token from a {len(data):,} byte file, {method}"}
            | _timed(ft.partial(_first_token, model, data, used, ids[-1:]))
        )
    return rows


def _first_token(model: RunningModel, data: bytes, profile: OpenedProfile | None, token: Sequence[int]) -> object:
    snapshot = decompress(data, profile=profile)
    return model.log_probabilities(cache_of(snapshot), token, first_position=snapshot.frame.next_position)


def length_rows(
    context: Context, adapter: ModelAdapter, profile: OpenedProfile, *, lengths: tuple[int, ...]
) -> list[dict[str, object]]:
    """Return milliseconds a token of longer and longer snapshots, tiled from a real one. Once each: they are long."""
    rows: list[dict[str, object]] = []
    for tokens in lengths:
        snapshot = tiled(context.snapshot, tokens)
        started = time.perf_counter()
        data = compress(snapshot, adapter=adapter, method="transform", target=Ratio(20.0), profile=profile).data
        encoded = time.perf_counter()
        decompress(data, profile=profile)
        ended = time.perf_counter()
        rows.append(
            {
                "tokens": tokens,
                "encode ms": MS * (encoded - started),
                "decode ms": MS * (ended - encoded),
                "encode ms/token": MS * (encoded - started) / tokens,
                "decode ms/token": MS * (ended - encoded) / tokens,
            }
        )
    return rows


def tiled(snapshot: KVSnapshot, tokens: int) -> KVSnapshot:
    """Return a snapshot that repeats the tokens after the first, each at a position of its own."""
    frame = snapshot.frame
    rows = pack_rows(snapshot.keys, snapshot.values, geometry=frame.geometry, positions=frame.positions)
    taken = np.append(0, 1 + np.arange(tokens - 1) % (len(rows) - 1))
    keys, values = unpack_rows(rows[taken], geometry=frame.geometry)
    return KVSnapshot(whole(frame.geometry, tokens, model=frame.model, weights=frame.weights), keys, values)


def _timed(work: Callable[[], object], *, repetitions: int = REPETITIONS) -> dict[str, object]:
    """Return the first call's time and how much of it was compiling, then the median and the least of the others."""
    with clocked() as first:
        work()
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        times.append(MS * (time.perf_counter() - started))
    return {
        "first ms": first.duration_ms,
        "of it compiling": first.compile_ms,
        "median ms": float(np.median(times)),
        "least ms": min(times),
    }
