"""Choose the transform code's step: for a number of bytes, or for an estimated bound on the KL divergence."""

from collections.abc import Callable

import numpy as np

from kvcache.coding.coordinates import Coordinates, Part
from kvcache.coding.profile import OpenedProfile
from kvcache.kernels import coefficient_classes as classes
from kvcache.kernels import transform
from kvcache.kernels.tiles import PADDED_TO, TILE
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.tensors import Array

FINEST, COARSEST = -160, 96  # steps worth trying, sixteenths of an octave
ESCAPE_BITS = 32
BITS_PER_BYTE = 8
# Safety factor on the highest KL per distortion of the calibration, which is met in English. 2 held too seldom; of 22
# windows in ten other languages and of C headers all but one need less than this (docs/compression.md).
CAUTION = 3.25


def step_for_bytes(found: Coordinates, *, size: int) -> int:
    """Return the finest step whose sections take at most `size` bytes. Raises QualityBelowThreshold."""
    near = _usual_step(found.profile, found.frame.raw_bytes / max(1, size))
    step = _least(lambda step: _measure(found, step)[0] <= size, near=near)
    if step == COARSEST and (least := _measure(found, COARSEST)[0]) > size:
        raise QualityBelowThreshold(
            f"the coarsest code of this snapshot takes {least} bytes; {size} were asked for",
            resolution="Ask for a lower ratio, or drop tokens by selection as well.",
            field="target",
        )
    return step


def step_for_kl(found: Coordinates, *, kl: float) -> int:
    """Return the coarsest step that is expected to keep the KL within a bound. Raises QualityBelowThreshold.

    The expectation is the weighted error on this very snapshot times the worst ratio of KL to such error met in
    calibration, times CAUTION: it covers text unlike the calibration's, where more of a row falls outside the basis.
    It is an estimate, not a guarantee: no model is run, and text may be found that needs a larger margin.
    """
    factor = found.profile.document.kl_per_distortion
    if factor is None:
        raise QualityBelowThreshold(
            "this codec profile was never measured on its model, so it cannot hold a bound",
            resolution="Ask for a ratio instead, or use a profile with a measured curve.",
            field="target",
        )
    allowed = kl / (factor * CAUTION)
    best = _measure(found, FINEST)[1]
    if not best <= allowed:  # not `>`: NaN, from an overflow, is refused too
        raise QualityBelowThreshold(
            f"the lowest KL that this codec profile is expected to hold on this snapshot is "
            f"{best * factor * CAUTION:.4f} nats, an estimate; {kl} were asked for",
            resolution="Allow a higher KL, or use the method 'quantise', which depends on no calibration text.",
            field="target",
        )
    return -_least(lambda negative: _measure(found, -negative)[1] <= allowed, near=0, low=-COARSEST, high=-FINEST)


def distortion(found: Coordinates, *, step: int) -> float:
    """Return the squared error of weighted rows at a step, averaged over tokens weighted by their sensitivity."""
    return _measure(found, step)[1]


def expected_kl(found: Coordinates, *, step: int) -> float | None:
    """Return the KL in nats that is expected not to be exceeded, an estimate; None: the profile was never measured."""
    factor = found.profile.document.kl_per_distortion
    return None if factor is None else factor * CAUTION * distortion(found, step=step)


def _usual_step(profile: OpenedProfile, ratio: float) -> int:
    """Return the step at a ratio, interpolated on the profile's curve; 0 where it has no curve."""
    curve = sorted(profile.document.curve, key=lambda point: point.ratio)
    if not curve:
        return 0
    return round(float(np.interp(np.log(ratio), np.log([each.ratio for each in curve]), [each.step for each in curve])))


def _least(fits: Callable[[int], bool], *, near: int, low: int = FINEST, high: int = COARSEST) -> int:
    """Return the least whole number in the range that `fits`, or `high`; numbers above one that fits must fit too.

    The search begins at `near` and takes few tries where the result is close to it.
    """
    reach, tried = 2, near
    while low < tried < high and reach < high - low:  # step away from `near` until it lies between two tries
        if fits(tried):
            high, tried = tried, tried - reach
        else:
            low, tried = tried + 1, tried + reach
        reach *= 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return low


def _measure(found: Coordinates, step: int) -> tuple[int, float]:
    """Return the bytes of the sections and the weighted error at a step."""
    bits, errors = 0.0, np.zeros(found.frame.tokens)
    table = cost_table(found.profile)
    for part in found.parts:
        steps = classes.token_steps(step, found.exponents[part.tokens])
        for start in range(0, len(part.tokens), TILE):
            tile = slice(start, start + TILE)
            length, error = _tile_cost(part, tile, steps[tile], table)
            bits += length
            errors[part.tokens[tile]] += error + part.outside[tile]
    size = int(np.ceil(bits / BITS_PER_BYTE)) + found.frame.tokens + found.exact.nbytes + found.exact_rows.nbytes
    # Uncoded tokens have the weight 0: an outlier's sensitivity would make every other token's error look small.
    sensitivity = np.exp(found.sensitivity.astype(np.float64))
    coded = float(sensitivity.sum())
    return size, float((sensitivity * errors).sum() / coded) if coded else 0.0


def _tile_cost(part: Part, tile: slice, steps: Array, table: Array) -> tuple[float, Array]:
    tokens = len(steps)
    missing = -tokens % PADDED_TO
    padded = np.pad(part.coefficients[tile], ((0, missing), (0, 0)))
    padding = np.full(missing, COARSEST * 8, np.int32)  # padded tokens are all zeros and in no class
    length, error = transform.cost(padded, np.append(steps, padding), part.group.levels.astype(np.int32), table)
    return float(length), np.asarray(error)[:tokens]


def cost_table(profile: OpenedProfile) -> Array:
    """Return the bits of each class's symbols, low bits and escapes included; see `kernels.transform.cost`."""
    most = int(profile.limits.max()) + 1
    bits = np.empty((classes.CLASSES, 2 * most + 1))
    for number, limit in enumerate(profile.limits):
        row = profile.frequencies[number, : 2 * limit + 2].astype(np.float64)
        lengths = -np.log2(row / row.sum()) + classes.shift_of(number)
        bits[number] = lengths[-1] + ESCAPE_BITS
        bits[number, most - limit : most + limit + 1] = lengths[:-1]
    return bits.astype(np.float32)
