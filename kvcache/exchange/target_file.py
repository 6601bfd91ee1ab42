"""The context in the target's own tokens as a safetensors file, which comes beside a memory or is kept for it."""

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO

import numpy as np

from kvcache.exchange.placement import TargetTokens
from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

DOCUMENT = {"kind": "target-tokens", "version": 1}
TENSORS = ("target_spans", "target_ids", "source_spans", "target_first_layer", "reread_positions")


def write_target_tokens(arrays: Mapping[str, Array]) -> bytes:
    """Return the file of the arrays of `TENSORS` that are given; the same arrays give the same bytes."""
    file = BytesIO()
    tensors.write(file, arrays, DOCUMENT)
    return file.getvalue()


def arrays_of(tokens: TargetTokens) -> dict[str, Array]:
    """Return the tokens' arrays by their names in a file: whole numbers as int32, first layers as they are.

    What enters the last of the first layers is left out: it is the receiver's alone.
    """
    parts = (tokens.spans, tokens.ids, tokens.source_spans, tokens.first_layer, tokens.reread)
    given = {name: np.asarray(part) for name, part in zip(TENSORS, parts, strict=True) if part is not None}
    return {name: part if part.dtype.kind == "f" else part.astype(np.int32) for name, part in given.items()}


def ended_by(tokens: TargetTokens, end: int, *, next_position: int) -> TargetTokens:
    """Return the tokens whose text had ended when the source had read `end` of its `next_position` positions.

    They must have source_spans, of all of the source's tokens. A model's first layers look back alone, so those of the
    tokens that are left stay as they are. Raises InvalidInput for a place that the context does not have.
    """
    assert tokens.source_spans is not None
    source = np.asarray(tokens.source_spans)
    read = end - (next_position - len(source))  # BOS is a position, too
    if not 0 <= read <= len(source):
        raise InvalidInput(f"{end} is no place in a context of {next_position} tokens", field="end")
    ends = np.maximum.accumulate(source[:, 1])
    last = ends[read - 1] if read else 0
    if read < len(source):  # a character that is cut into several tokens has not ended before the last of them
        last = max(0, min(last, source[read, 1] - 1))
    spans = np.asarray(tokens.spans)
    kept = int((np.maximum.accumulate(spans[:, 1]) <= last).sum())
    return replace(
        tokens,
        spans=spans[:kept],
        ids=None if tokens.ids is None else tokens.ids[:kept],
        source_spans=source[:read],
        first_layer=None if tokens.first_layer is None else tokens.first_layer[:kept],
    )
