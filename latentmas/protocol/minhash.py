"""MinHash (Broder 1997): short signatures of sets, by which the share of what two sets have in common is estimated."""

import functools as ft

import numpy as np

from latentmas.protocol.tensors import Array

CHUNK = 512  # hashes under all permutations at a time, so that they stay in the processor's cache


def signature(hashes: Array, *, permutations: int) -> Array:
    """Return a set's signature `[permutations]`, uint32, of its distinct hashes `[members]`, uint64, at least one.

    It is the least hash under each permutation: multiply, add, keep the high half.
    """
    factors, offsets = odd(permutations, seed=2), odd(permutations, seed=3)
    parts = [hashes[at : at + CHUNK, None] * factors + offsets for at in range(0, len(hashes), CHUNK)]
    least: Array = np.min([part.min(axis=0) for part in parts], axis=0) >> np.uint64(32)
    return least.astype(np.uint32)


@ft.cache
def odd(count: int, *, seed: int) -> Array:
    """Return odd factors `[count]`, uint64, always the same ones for a seed."""
    return np.random.default_rng(seed).integers(1 << 64, size=count, dtype=np.uint64) | np.uint64(1)


def mixed(values: Array) -> Array:
    """Return values, uint64, with their bits mixed (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
