"""Fit the map between two embedding spaces: method, penalty and gain are chosen on the selection passages."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from factory.alignment.fit import LinearMap, accumulate, solve
from factory.corpora import Split
from factory.measurement.metrics import mean_reciprocal_rank, ranks
from factory.packs.pack import OpenedPack
from kvcache.exchange.mapping import open_map
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Method, Space

PENALTIES = (0.1, 0.3, 1.0, 3.0)  # on the diagonal of the standardised Gram matrix, which is 1
# Factors on the fitted deviation from the target's mean. A regression predicts less spread than there is; where all
# vectors of a model point much the same way, predictions then crowd around the mean and find the same few neighbours.
GAINS = (1.0, 1.5, 2.0, 3.0)
TOLERANCE = 0.01  # of the mean reciprocal rank: the smallest gain this close to the best keeps distances truest
LEAST_PASSAGES = {Split.CALIBRATION: 64, Split.SELECTION: 8, Split.HELD_OUT: 24}


@dataclass(frozen=True, slots=True)
class VectorPairs:
    """Vectors of the same passages: `source` `[passages, ds]`, `target` `[passages, dt]`; `documents` `[passages]`."""

    source: Array
    target: Array
    documents: Array


@dataclass(frozen=True, slots=True)
class Trial:
    """A fitted map (of one method and penalty) with one gain, and its mean reciprocal rank on selection passages."""

    fitted: LinearMap
    gain: float
    reciprocal_rank: float


def fit_vectors(source: OpenedPack, target: OpenedPack) -> tuple[Trial, list[Trial]]:
    """Return the best trial by retrieval on the selection passages, and all trials. Decoders include the gain.

    Raises InvalidInput where the packs share too few passages.
    """
    calibration, selection = (same_passages(source, target, split) for split in (Split.CALIBRATION, Split.SELECTION))
    trials = [_tried(fitted, gain, selection) for fitted in _maps(calibration) for gain in GAINS]
    floor = max(trial.reciprocal_rank for trial in trials) - TOLERANCE
    good = [trial for trial in trials if trial.reciprocal_rank >= floor]
    return max(good, key=lambda trial: (-trial.gain, trial.reciprocal_rank, trial.fitted.ridge)), trials


def same_passages(source: OpenedPack, target: OpenedPack, split: Split) -> VectorPairs:
    """Return the vectors of the passages of a split that both packs hold, in the source's order.

    Raises InvalidInput if the packs are not embeddings of the same corpus, or share too few passages.
    """
    _require_embeddings_of_one_corpus(source, target)
    theirs = target.indices(split)
    sides: list[tuple[Array, Array]] = []
    documents: list[int] = []
    for digest, index in source.indices(split).items():
        if digest not in theirs:
            continue
        places = {tuple(span): place for place, span in enumerate(target.spans_of(theirs[digest]).tolist())}
        shared = [
            (place, places[tuple(span)])
            for place, span in enumerate(source.spans_of(index).tolist())
            if tuple(span) in places
        ]
        mine, others = np.array(shared, dtype=np.int64).reshape(-1, 2).T
        sides.append((source.rows(index)[mine], target.rows(theirs[digest])[others]))
        documents += [index] * len(shared)
    if len(documents) < LEAST_PASSAGES[split]:
        raise InvalidInput(
            f"the packs share {len(documents)} {split.value} passages; {LEAST_PASSAGES[split]} are the least",
            resolution="Use a larger corpus or more passages, the same number for both models.",
            field="corpus",
        )
    vectors = [np.concatenate(side) for side in zip(*sides, strict=True)]
    return VectorPairs(vectors[0], vectors[1], np.array(documents))


def _require_embeddings_of_one_corpus(source: OpenedPack, target: OpenedPack) -> None:
    ours, theirs = source.document, target.document
    if (ours.space, theirs.space) != (Space.EMBEDDING, Space.EMBEDDING):
        raise InvalidInput(
            f"the packs are of the spaces {ours.space.value} and {theirs.space.value}; both must be embeddings"
        )
    if ours.corpus_digest != theirs.corpus_digest:
        raise InvalidInput(
            f"the pack of {ours.model} was captured on {ours.corpus!r}, that of {theirs.model} on {theirs.corpus!r}",
            resolution="Capture both packs on the same corpus.",
        )


def _maps(calibration: VectorPairs) -> Iterator[LinearMap]:
    import jax.numpy as jnp

    chunk = (calibration.source, calibration.target)
    statistics = accumulate(lambda: iter([chunk]), progress=lambda _done, _total: None)
    # As wide as the narrower side: vectors are small, so that nothing is gained by a lower rank.
    rank = min(*statistics.cross.shape, statistics.rows - 1)
    for method in Method:
        for penalty in PENALTIES if method is not Method.ORTHOGONAL else PENALTIES[:1]:
            own = replace(statistics, gram=jnp.array(statistics.gram, copy=True))  # solving donates it
            yield solve(own, penalty=penalty, rank=rank, method=method)


def _tried(fitted: LinearMap, gain: float, selection: VectorPairs) -> Trial:
    louder = replace(fitted, decoder=fitted.decoder * np.float32(gain))
    found = ranks(open_map(louder.arrays()).apply(selection.source), selection.target)
    return Trial(louder, gain, mean_reciprocal_rank(found))
