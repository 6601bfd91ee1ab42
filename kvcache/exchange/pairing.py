"""Pair the tokens of two tokenizers by causal character spans."""

from collections.abc import Sequence

import numpy as np

from latentmas.protocol.tensors import Array

Spans = Sequence[tuple[int, int]] | Array  # `[tokens, 2]`: where each token starts and ends in the text


def causal_pairs(source: Spans, target: Spans) -> Array:
    """Return for each target token the row of the last source token that ends no later than it does.

    Rows count from the BOS entry: row 0 is BOS (no source token has ended yet), row i + 1 is source token i. The same
    tokenizer on both sides gives the identity.
    """
    # A byte-level tokenizer can split one character: several tokens then end at the same place, and the last is taken.
    source_ends = np.maximum.accumulate(_ends(source))
    target_ends = _ends(target)
    return np.searchsorted(source_ends, target_ends, side="right")


def _ends(spans: Spans) -> Array:
    return np.asarray(spans, dtype=np.int64).reshape(-1, 2)[:, 1]
