"""Judge a W-Matrix on held-out activations of two packs, where the target model cannot be run.

Information retention is 1 - sum |predicted - true|^2 / sum |true|^2 over all held-out rows, both standardised by the
mean and scale of calibration: 1 is exact, 0 no better than the mean row. It says little about what the target makes of
such a memory (key and value errors do not predict retention), which is why nothing judged like this is certified.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from factory.corpora import Split
from factory.evaluation import random_like
from factory.packs import CalibrationPack
from factory.progress import Progress
from factory.retention import retention
from kvcache.align import aligner
from kvcache.exchange.pairing import causal_pairs
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Basis, Corpus, Interval, LayerFidelity, Quality
from latentmas.protocol.tensors import Array

LEAST_DOCUMENTS = 2
TINY = np.finfo(np.float32).tiny

Align = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was measured, and beside it the information retention of a W of random numbers."""

    quality: Quality
    layers: tuple[LayerFidelity, ...]
    information_retention: Interval  # bootstrap over documents, not clamped
    random_w: Interval


def judge(
    arrays: Mapping[str, Array], source: CalibrationPack, target: CalibrationPack, *, progress: Progress
) -> Judgement:
    """Return what a W-Matrix's arrays do on the documents that both packs hold out. Raises InvalidInput for too few."""
    align, random_align = aligner(arrays), aligner(random_like(arrays))
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
        predicted = align(mine)
        error, length = _energies(predicted, truth, arrays)
        energies.append((error, _energies(random_align(mine), truth, arrays)[0], length))
        figures.append(_layer_figures(predicted, truth, geometry))
        tokens.append(len(truth))
    progress(len(shared), len(shared))
    layers = np.average(figures, axis=0, weights=tokens)  # [layers, 4]
    lost, lost_at_random, of = (np.array(column) for column in zip(*energies, strict=True))
    kept = retention(lost, nothing=of, own=np.zeros_like(of))
    clamped = min(max(kept.value, 0.0), 1.0)
    document = target.document
    quality = Quality(
        basis=Basis.ACTIVATION,
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
        layers=tuple(_layer(number, *each) for number, each in enumerate(layers.tolist())),
        information_retention=kept,
        random_w=retention(lost_at_random, nothing=of, own=np.zeros_like(of)),
    )


def information_retention(
    arrays: Mapping[str, Array], source: CalibrationPack, target: CalibrationPack, split: Split
) -> float:
    """Return the information retention over the rows of a split. Raises InvalidInput where the packs share none."""
    align = aligner(arrays)
    energies = [_energies(align(mine), truth, arrays) for mine, truth in paired_documents(source, target, split)]
    if not energies:
        raise InvalidInput(f"the packs share no {split.value} document")
    lost, of = np.sum(energies, axis=0)
    return float(1 - lost / of)


def shared_documents(source: CalibrationPack, target: CalibrationPack, split: Split) -> list[str]:
    """Return the digests of a split's documents that both packs hold, in the source's order."""
    theirs = target.indices(split)
    return [digest for digest in source.indices(split) if digest in theirs]


def paired_documents(source: CalibrationPack, target: CalibrationPack, split: Split) -> Iterator[tuple[Array, Array]]:
    """Yield `(source rows, target rows)` of each shared document: every target token with its causal partner."""
    ours, theirs = source.indices(split), target.indices(split)
    for digest in shared_documents(source, target, split):
        mine, others = ours[digest], theirs[digest]
        pairs = causal_pairs(source.spans_of(mine), target.spans_of(others))
        yield source.rows(mine)[pairs], target.rows(others)[1:]


def _energies(predicted: Array, truth: Array, arrays: Mapping[str, Array]) -> tuple[float, float]:
    """Return the squared error and the squared length of standardised rows, summed."""
    mean, scale = arrays["target_mean"], arrays["target_scale"]
    error, standard = (predicted - truth) / scale, (truth - mean) / scale
    return float(np.square(error, dtype=np.float64).sum()), float(np.square(standard, dtype=np.float64).sum())


def _layer_figures(predicted: Array, truth: Array, geometry: KVGeometry) -> Array:
    """Return key cosine, key error, value cosine and value error of each layer `[layers, 4]`, over tokens and heads."""
    keys = geometry.heads * geometry.head_dim
    shape = (len(truth), geometry.layers, geometry.layer_width)
    mine, true = predicted.reshape(shape), truth.reshape(shape)
    parts = ((slice(0, keys), geometry.head_dim), (slice(keys, None), geometry.value_width))
    figures = []
    for part, width in parts:
        heads = (*shape[:2], geometry.heads, width)
        a, b = mine[..., part].reshape(heads), true[..., part].reshape(heads)
        lengths = np.linalg.norm(b, axis=-1)
        cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * lengths + TINY)
        error = np.linalg.norm(a - b, axis=-1) / (lengths + TINY)
        figures += [cosine.mean(axis=(0, 2)), error.mean(axis=(0, 2))]
    return np.stack(figures, axis=-1)


def _layer(layer: int, *figures: float) -> LayerFidelity:
    key_cosine, key_error, value_cosine, value_error = figures
    return LayerFidelity(
        layer=layer,
        key_cosine=key_cosine,
        key_error=key_error,
        value_cosine=value_cosine,
        value_error=value_error,
        attention_cosine=None,
    )
