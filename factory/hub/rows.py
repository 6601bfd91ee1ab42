"""Corresponding rows of several calibration packs, to fit a hub on."""

from collections.abc import Iterator, Sequence

import numpy as np

from factory.corpora import Split
from factory.packs.pack import OpenedPack
from factory.packs.pairs import CHUNK_ROWS
from kvcache.exchange.placement import causal_pairs
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Space

Views = tuple[Array, ...]


def corresponding_rows(packs: Sequence[OpenedPack], split: Split) -> Iterator[Views]:
    """Yield corresponding rows, `[n, d_i]` of each pack, in chunks of CHUNK_ROWS and a last one of what is left.

    Of KV-caches the first pack is the reference: each of its tokens is paired with its causal partner in the others
    (BOS where none has ended yet). Of embeddings, rows are the passages that all packs hold. Raises InvalidInput where
    the packs are not of one space and one corpus.
    """
    require_one_kind(packs)
    of_document = _tokens if packs[0].document.space is Space.KV_CACHE else _passages
    places = [pack.indices(split) for pack in packs]
    pending: list[Views] = []
    waiting = 0
    for digest in places[0]:
        if not all(digest in each for each in places):
            continue
        pending.append(of_document(packs, [each[digest] for each in places]))
        waiting += len(pending[-1][0])
        while waiting >= CHUNK_ROWS:
            whole = _joined(pending)
            yield tuple(side[:CHUNK_ROWS] for side in whole)
            pending, waiting = [tuple(side[CHUNK_ROWS:] for side in whole)], waiting - CHUNK_ROWS
    if waiting:
        yield _joined(pending)


def require_one_kind(packs: Sequence[OpenedPack]) -> None:
    """Raise InvalidInput unless all packs are of one space and were captured on one corpus."""
    kinds = {(pack.document.space.value, pack.document.corpus, pack.document.corpus_digest) for pack in packs}
    if len(kinds) != 1:
        raise InvalidInput(
            f"the packs are of {sorted(kind[:2] for kind in kinds)}; a hub joins packs of one space and one corpus",
            resolution="Capture all packs on the same corpus.",
        )


def _tokens(packs: Sequence[OpenedPack], indices: Sequence[int]) -> Views:
    spans = packs[0].spans_of(indices[0])
    rows = [packs[0].rows(indices[0])[1:]]
    for pack, index in zip(packs[1:], indices[1:], strict=True):
        rows.append(pack.rows(index)[causal_pairs(pack.spans_of(index), spans)])
    return tuple(rows)


def _passages(packs: Sequence[OpenedPack], indices: Sequence[int]) -> Views:
    spans = [
        {tuple(span): place for place, span in enumerate(pack.spans_of(index).tolist())}
        for pack, index in zip(packs, indices, strict=True)
    ]
    shared = [span for span in spans[0] if all(span in each for each in spans)]
    return tuple(
        pack.rows(index)[np.array([each[span] for span in shared], dtype=np.int64)]
        for pack, index, each in zip(packs, indices, spans, strict=True)
    )


def _joined(pending: Sequence[Views]) -> Views:
    return tuple(np.concatenate(side) for side in zip(*pending, strict=True))
