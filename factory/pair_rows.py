"""Paired rows of two packs, in chunks of one size."""

from collections.abc import Iterator

import numpy as np

from factory.corpora import Split
from factory.packs import CalibrationPack
from kvcache.exchange.pairing import causal_pairs
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

CHUNK_ROWS = 2048


def paired_rows(source: CalibrationPack, target: CalibrationPack, split: Split) -> Iterator[tuple[Array, Array]]:
    """Yield `(source rows [n, ds], target rows [n, dt])` of the documents that both packs hold; n is CHUNK_ROWS.

    Every target token is paired with its causal partner, BOS where no source token has ended yet. Rows that do not fill
    a last chunk are left out, so that one compiled shape serves all.
    """
    pending: list[tuple[Array, Array]] = []
    waiting = 0
    theirs = target.indices(split)
    for digest, index in source.indices(split).items():
        if digest not in theirs:
            continue
        partner = theirs[digest]
        pairs = causal_pairs(source.spans_of(index), target.spans_of(partner))
        pending.append((source.rows(index)[pairs], target.rows(partner)[1:]))
        waiting += len(pairs)
        while waiting >= CHUNK_ROWS:
            mine, others = (np.concatenate(side) for side in zip(*pending, strict=True))
            yield mine[:CHUNK_ROWS], others[:CHUNK_ROWS]
            pending, waiting = [(mine[CHUNK_ROWS:], others[CHUNK_ROWS:])], waiting - CHUNK_ROWS


def require_same_corpus(source: CalibrationPack, target: CalibrationPack) -> None:
    """Raise InvalidInput unless the packs were captured on the same corpus and share enough of it."""
    ours, theirs = source.document, target.document
    if ours.corpus_digest != theirs.corpus_digest:
        raise InvalidInput(
            f"the pack of {ours.model} was captured on {ours.corpus!r}, that of {theirs.model} on {theirs.corpus!r}",
            resolution="Capture both packs on the same corpus.",
        )
    shared = set(source.indices(Split.CALIBRATION)) & set(target.indices(Split.CALIBRATION))
    tokens = sum(
        len(target.spans_of(index)) for digest, index in target.indices(Split.CALIBRATION).items() if digest in shared
    )
    if tokens < CHUNK_ROWS:
        raise InvalidInput(
            f"the corpus gives {tokens} calibration tokens; {CHUNK_ROWS} are the least to fit on",
            resolution="Use a larger corpus or a higher token budget.",
            field="corpus",
        )
