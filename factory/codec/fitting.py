"""Fit the transforms of a codec profile: per layer group the leading directions of the sensitivity-weighted rows.

Weighting by the root of the mean squared gradient makes squared error in weighted rows proportional, to second order,
to the KL divergence that it causes (the diagonal of the Fisher information of the model's own predictions).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from factory.codec.statistics import RowStatistics
from factory.progress import Progress
from kvcache.coding.coordinates import BINS_PER_OCTAVE, columns
from kvcache.coding.profile import Group, Scope
from kvcache.kernels.coefficient_classes import UNITS
from kvcache.kernels.transform import BASIS_BLOCK
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array

MAX_GROUP_WIDTH = 16_384  # of a basis that still fits; wider models get several groups of neighbouring layers
SENSITIVITY_FLOOR = 1e-4  # of the mean: no dimension gets the weight zero
TOKEN_DIRECTIONS = 256  # leading ones, from which a token's sensitivity is predicted
TOKEN_RIDGE = 0.01
RECENCY_DEGREE = 5
FULL_SCALE = 127  # of int8


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments over all windows: of rows (mean `[width]`, covariance), and of their sensitivity to errors."""

    mean: Array
    covariance: Array
    weight: Array
    against_sensitivity: Array  # mean of centred row times (log-sensitivity - its mean at that position)
    recency: Array  # log-sensitivity by distance to the end, centred; see OpenedProfile.recency


def layer_groups(geometry: KVGeometry) -> Iterator[tuple[Scope, tuple[int, ...]]]:
    """Yield scope and layers of each group: all layers, and for tokens outside the windows full-attention ones only."""
    full = tuple(layer for layer, window in enumerate(geometry.windows) if window is None)
    per_group = max(1, MAX_GROUP_WIDTH // geometry.layer_width)
    scopes: list[tuple[Scope, tuple[int, ...]]] = [("all", tuple(range(geometry.layers)))]
    if full and len(full) < geometry.layers:
        scopes.append(("full-attention", full))
    for scope, layers in scopes:
        groups = -(-len(layers) // per_group)
        for part in np.array_split(layers, groups):
            yield scope, tuple(int(layer) for layer in part)


def moments_of(statistics: RowStatistics) -> Moments:
    """Return the moments that the groups are fitted from."""
    sums = statistics.sums
    assert sums is not None
    loudness = np.stack(statistics.loudness)
    at_position = loudness.mean(0)
    offset = sums.by_position.sum(0, dtype=np.float64) / statistics.tokens
    covariance = np.array(sums.gram)
    covariance /= statistics.tokens
    covariance -= np.outer(offset, offset).astype(np.float32)
    residual = sums.against_loudness - at_position @ sums.by_position.astype(np.float64)
    sensitivity = sums.sensitivity / statistics.tokens
    sensitivity = np.maximum(sensitivity, SENSITIVITY_FLOOR * sensitivity.mean())
    return Moments(
        mean=(sums.shift + offset).astype(np.float32),
        covariance=covariance,
        # Scaled so that weights, and with them steps, mean the same whatever the model's gradients are.
        weight=np.sqrt(sensitivity / sensitivity.mean()).astype(np.float32),
        against_sensitivity=residual / statistics.tokens,
        recency=_recency(at_position),
    )


def fit_groups(moments: Moments, geometry: KVGeometry, *, rank: int, progress: Progress) -> list[Group]:
    """Return the fitted groups of a profile."""
    wanted = list(layer_groups(geometry))
    groups = []
    for number, (scope, layers) in enumerate(wanted):
        progress(number, len(wanted))
        groups.append(_fit_group(moments, scope, layers, columns(geometry, layers), rank))
    progress(len(wanted), len(wanted))
    return groups


def _fit_group(moments: Moments, scope: Scope, layers: tuple[int, ...], held: Array, rank: int) -> Group:
    weight = moments.weight[held]
    whole = len(held) == len(moments.weight)
    covariance = moments.covariance if whole else moments.covariance[np.ix_(held, held)]
    variances, directions = _leading(covariance * weight[:, None] * weight[None], min(rank, len(held)))
    told = directions.T @ (weight * moments.against_sensitivity[held])
    told /= variances * (1 + TOKEN_RIDGE)
    told[TOKEN_DIRECTIONS:] = 0.0
    basis, scale = _in_eight_bits(directions)
    return Group(
        scope=scope,
        layers=layers,
        mean=moments.mean[held],
        weight=weight,
        basis=basis,
        basis_scale=scale,
        levels=np.round(UNITS * 0.5 * np.log2(variances)).astype(np.int16),
        importance=(directions @ told).astype(np.float32),
    )


def _in_eight_bits(directions: Array) -> tuple[Array, Array]:
    """Return int8 directions `[width, rank]` and float16 scales `[blocks, rank]`."""
    missing = -len(directions) % BASIS_BLOCK
    blocks = np.pad(directions, ((0, missing), (0, 0))).reshape(-1, BASIS_BLOCK, directions.shape[1])
    scale = (np.abs(blocks).max(1) / FULL_SCALE).astype(np.float16)
    scale = np.maximum(scale, np.finfo(np.float16).tiny)
    whole = np.clip(np.round(blocks / scale[:, None].astype(np.float32)), -FULL_SCALE, FULL_SCALE).astype(np.int8)
    return whole.reshape(-1, directions.shape[1])[: len(directions)], scale


def _leading(matrix: Array, rank: int) -> tuple[Array, Array]:
    """Return the largest eigenvalues, falling, and their eigenvectors `[width, rank]`."""
    import torch  # its LAPACK is threaded; calibration runs a model with torch anyway

    values, vectors = torch.linalg.eigh(torch.from_numpy(matrix))
    floor = float(values[-1]) * np.finfo(np.float32).eps
    return np.maximum(values.numpy()[::-1][:rank], floor), np.ascontiguousarray(vectors.numpy()[:, ::-1][:, :rank])


def _recency(at_position: Array) -> Array:
    """Return a smooth log-sensitivity by distance to the end, two bins an octave, with the mean over tokens 0."""
    distance = len(at_position) - np.arange(len(at_position))
    octaves = np.log2(distance)
    degree = min(RECENCY_DEGREE, len(at_position) - 1)
    smooth = np.polynomial.Polynomial.fit(octaves, at_position, degree)
    bins = np.arange(math.floor(BINS_PER_OCTAVE * octaves[0]) + 1) / BINS_PER_OCTAVE
    return np.asarray((smooth(bins) - smooth(octaves).mean()).astype(np.float32))
