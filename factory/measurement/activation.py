"""Measure a W-Matrix on held-out activations of two packs, for targets that cannot be run here.

Information retention is 1 - sum |predicted - true|^2 / sum |true|^2 over all held-out rows, both standardised by the
mean and scale of calibration: 1 is exact, 0 no better than the mean row. It does not predict the retention in the
target model, so nothing measured this way is certified.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from factory.corpora import Split
from factory.measurement.evaluation import random_like
from factory.measurement.metrics import layer_fidelities, retention, row_fidelity
from factory.packs.pack import OpenedPack
from factory.packs.pairs import paired_documents, shared_documents
from factory.progress import Progress
from kvcache.exchange.mapping import LatentMap, open_map
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis, Corpus, Interval, LayerFidelity, Quality
from latentmas.protocol.tensors import Array

LEAST_DOCUMENTS = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """The measured figures, with the information retention of a random W as control."""

    quality: Quality
    layers: tuple[LayerFidelity, ...]
    information_retention: Interval  # bootstrap over documents, not clamped
    random_w: Interval


def judge(
    arrays: Mapping[str, Array], source: OpenedPack, target: OpenedPack, *, basis: Basis, progress: Progress
) -> Judgement:
    """Return the figures of a W-Matrix's arrays on the packs' common held-out documents; InvalidInput for too few.

    Their `basis` is `activation` where this server captured both packs. Rows that somebody else sent are his word.
    """
    latent_map, control = open_map(arrays), open_map(random_like(arrays))
    geometry = target.document.geometry
    assert geometry is not None
    shared = shared_documents(source, target, Split.HELD_OUT)
    if len(shared) < LEAST_DOCUMENTS:
        raise InvalidInput(
            f"the packs share {len(shared)} held-out documents; {LEAST_DOCUMENTS} are the least to judge on",
            resolution="Capture more of the corpus with both models.",
        )
    energies, figures, tokens = [], [], []
    for number, (mine, truth) in enumerate(paired_documents(source, target, Split.HELD_OUT)):
        progress(number, len(shared))
        predicted = latent_map.apply(mine)
        error, length = _energies(predicted, truth, latent_map)
        energies.append((error, _energies(control.apply(mine), truth, latent_map)[0], length))
        figures.append(row_fidelity(predicted, truth, geometry))
        tokens.append(len(truth))
    progress(len(shared), len(shared))
    layers = np.average(figures, axis=0, weights=tokens)  # [layers, 4]
    lost, lost_at_random, of = (np.array(column) for column in zip(*energies, strict=True))
    kept = retention(lost, nothing=of, own=np.zeros_like(of))
    clamped = min(max(kept.value, 0.0), 1.0)
    document = target.document
    quality = Quality(
        basis=basis,
        epsilon=1 - clamped,
        information_retention=clamped,
        cosine_similarity=float(layers[:, [0, 2]].mean()),
        euclidean_distance=float(layers[:, [1, 3]].mean()),
        computational_cost=arrays["encoder"].size + arrays["decoder"].size,
        test_samples=sum(tokens),
        documents=len(shared),
        corpus=Corpus(document.corpus, document.corpus_digest, len(document.documents)),
    )
    return Judgement(
        quality=quality,
        layers=layer_fidelities(layers),
        information_retention=kept,
        random_w=retention(lost_at_random, nothing=of, own=np.zeros_like(of)),
    )


def information_retention(arrays: Mapping[str, Array], source: OpenedPack, target: OpenedPack, split: Split) -> float:
    """Return the information retention over the rows of a split. Raises InvalidInput where the packs share none."""
    latent_map = open_map(arrays)
    energies = [
        _energies(latent_map.apply(mine), truth, latent_map) for mine, truth in paired_documents(source, target, split)
    ]
    if not energies:
        raise InvalidInput(f"the packs share no {split.value} document")
    lost, of = np.sum(energies, axis=0)
    return float(1 - lost / of)


def _energies(predicted: Array, truth: Array, latent_map: LatentMap) -> tuple[float, float]:
    """Return sum |predicted - truth|^2 and sum |truth|^2 over rows standardised by the target's mean and scale."""
    mean, scale = latent_map.target_mean, latent_map.target_scale
    error, standard = (predicted - truth) / scale, (truth - mean) / scale
    return float(np.square(error, dtype=np.float64).sum()), float(np.square(standard, dtype=np.float64).sum())
