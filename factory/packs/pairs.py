"""Rows of two packs paired by causal character spans: document by document, or in chunks of one size to fit on."""

from collections.abc import Callable, Iterator

import numpy as np

from factory.corpora import Split
from factory.packs.pack import OpenedPack
from kvcache.exchange.placement import causal_pairs
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

CHUNK_ROWS = 2048

Keep = Callable[[str], bool]  # whether a document, by its digest, is wanted


def every(_digest: str) -> bool:
    return True


def paired_rows(
    source: OpenedPack, target: OpenedPack, split: Split, keep: Keep = every
) -> Iterator[tuple[Array, Array]]:
    """Yield `(source rows [n, ds], target rows [n, dt])` of the documents that both packs hold; n is CHUNK_ROWS.

    Every target token is paired with its causal partner, BOS where no source token has ended yet. Rows that do not fill
    a last chunk are left out, so that one compiled shape serves all.
    """
    pending: list[tuple[Array, Array]] = []
    waiting = 0
    for mine, others in paired_documents(source, target, split, keep):
        pending.append((mine, others))
        waiting += len(mine)
        while waiting >= CHUNK_ROWS:
            mine, others = (np.concatenate(side) for side in zip(*pending, strict=True))
            yield mine[:CHUNK_ROWS], others[:CHUNK_ROWS]
            pending, waiting = [(mine[CHUNK_ROWS:], others[CHUNK_ROWS:])], waiting - CHUNK_ROWS


def paired_documents(
    source: OpenedPack, target: OpenedPack, split: Split, keep: Keep = every
) -> Iterator[tuple[Array, Array]]:
    """Yield `(source rows [n, ds], target rows [n, dt])` of every document that both packs hold, BOS left out.

    `keep` says of a document's digest whether it is wanted.
    """
    ours, theirs = source.indices(split), target.indices(split)
    for digest in filter(keep, shared_documents(source, target, split)):
        index, partner = ours[digest], theirs[digest]
        pairs = causal_pairs(source.spans_of(index), target.spans_of(partner))
        yield source.rows(index)[pairs], target.rows(partner)[1:]


def target_rows(pack: OpenedPack, split: Split) -> Iterator[Array]:
    """Yield the rows `[n, width]` of every document of a split, BOS left out."""
    for index in pack.indices(split).values():
        yield pack.rows(index)[1:]


def shared_documents(source: OpenedPack, target: OpenedPack, split: Split) -> list[str]:
    """Return the digests of a split's documents that both packs hold, in the source's order."""
    theirs = target.indices(split)
    return [digest for digest in source.indices(split) if digest in theirs]


def require_same_corpus(source: OpenedPack, target: OpenedPack) -> None:
    """Raise InvalidInput unless the packs were captured on the same corpus and share enough of it."""
    ours, theirs = source.document, target.document
    if ours.space is not theirs.space:
        raise InvalidInput(
            f"the pack of {ours.model} holds {ours.space.value}s, that of {theirs.model} {theirs.space.value}s"
        )
    if ours.corpus_digest != theirs.corpus_digest:
        raise InvalidInput(
            f"the pack of {ours.model} was captured on {ours.corpus!r}, that of {theirs.model} on {theirs.corpus!r}",
            resolution="Capture both packs on the same corpus.",
        )
    if (tokens := shared_tokens(source, target)) < CHUNK_ROWS:
        raise InvalidInput(
            f"the corpus gives {tokens} calibration tokens; {CHUNK_ROWS} are the least to fit on",
            resolution="Use a larger corpus or a higher token budget.",
            field="corpus",
        )


def shared_tokens(source: OpenedPack, target: OpenedPack) -> int:
    """Return how many of the target's calibration tokens lie in documents that both packs hold."""
    theirs = target.indices(Split.CALIBRATION)
    shared = shared_documents(source, target, Split.CALIBRATION)
    return sum(len(target.spans_of(theirs[digest])) for digest in shared)
