"""The specification's table of five families at 100 tokens: what their thresholds really keep.

softmax(q k / sqrt(d)) spreads out: with scores of unit variance the 92 % that the table promises to save hold only a
small share of the mass, whatever the threshold. Leave the scaling out and one token takes nearly all, which is how such
figures come about; no model attends like that.
"""

import math

import numpy as np

from benchmarks.compression.cases import read_context
from factory.runners.model import RunningModel
from kvcache.adapters import ModelAdapter
from kvcache.attention.queries import check_queries
from kvcache.attention.selection import select_tokens, token_mass
from latentmas.protocol.plain import plain_queries, plain_snapshot
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

TOKENS, DIMENSIONS, QUERIES = 100, 128, 8
FAMILIES = {"GPT-4": 0.92, "Claude-3": 0.91, "LLaMA-3": 0.89, "Mistral-7B": 0.87, "DeepSeek-V3": 0.86}
PROMISED = 0.92  # saved, in the specification's example


def random_rows(adapter: ModelAdapter) -> list[dict[str, object]]:
    """Return the table for random arrays `[100, 128]`, with the scaling and without."""
    keys, values, queries = np.random.default_rng(1).standard_normal((3, TOKENS, DIMENSIONS)).astype(np.float32)
    snapshot = plain_snapshot(keys, values)
    rows: list[dict[str, object]] = []
    for name, factor in (("random, scaled", 1.0), ("random, not scaled", math.sqrt(DIMENSIONS))):
        mass = _mass(snapshot, plain_queries(queries[-QUERIES:] * np.float32(factor)), adapter)
        rows += _rows(name, mass)
    return rows


def model_rows(model: RunningModel, adapter: ModelAdapter, text: tuple[int, ...]) -> list[dict[str, object]]:
    """Return the table for a real context, by the attention of its last tokens."""
    context = read_context(model, text[: TOKENS - 1], queries=QUERIES)  # and BOS
    mass = _mass(context.snapshot, context.queries, adapter)
    return _rows(model.name, mass)


def _mass(snapshot: KVSnapshot, queries: Array, adapter: ModelAdapter) -> Array:
    asked, positions = check_queries(queries, None, frame=snapshot.frame, adapter=adapter, rope_applied=False)
    return token_mass(snapshot, asked, positions, adapter=adapter)


def _rows(attention: str, mass: Array) -> list[dict[str, object]]:
    held = float(np.sort(mass)[::-1][: round((1 - PROMISED) * len(mass))].sum() / mass.sum())
    rows: list[dict[str, object]] = []
    for family, threshold in FAMILIES.items():
        kept, coverage = select_tokens(mass, threshold=threshold, min_tokens=10)
        rows.append(
            {
                "attention": attention,
                "family": family,
                "threshold": threshold,
                "kept of 100": len(kept),
                "saved %": 100 * (1 - len(kept) / len(mass)),
                "coverage": coverage,
                "coverage of the best 8": held,
            }
        )
    return rows
