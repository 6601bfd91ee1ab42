"""The codings by name, as encoders with the settings that may meet a plan's target, the most faithful first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from kvcache.coding.encoded import Encoded, fits_float16
from kvcache.compression.plan import DEFAULT_KEY_BITS, DEFAULT_KL, DEFAULT_VALUE_BITS, Plan
from latentmas.protocol.snapshot import KVSnapshot

if TYPE_CHECKING:
    from kvcache.coding.coordinates import Coordinates
    from kvcache.coding.profile import OpenedProfile

RAW_BITS = 16
MOST_BITS, LEAST_BITS = 8, 2
FINER = 1
ENTROPY_SHARE = 0.95  # of its bits is the least that a quantised number takes, entropy-coded
# With queries, dropping tokens loses less quality than going below 3 bits (keep 25 % at 3 bits: 19x at a KL of .070 on
# SmolLM2-135M; 2 bits: 7x at .143).
LEAST_BITS_BEFORE_DROPPING = 3
SHARES = (1.0, 0.99, 0.97, 0.92)  # of the room, tried in turn: the step's expected code length may be exceeded


@dataclass(frozen=True, slots=True)
class Coded:
    """A code, and the KL in nats that it is expected (not guaranteed) not to exceed; None: the coding cannot tell."""

    encoded: Encoded
    kl_bound: float | None = None


Encode: TypeAlias = Callable[[KVSnapshot], Coded]


def encoder(plan: Plan, snapshot: KVSnapshot, *, profile: "OpenedProfile | None") -> Encode:
    """Return the encoder of a plan that names no ratio. Raises QualityBelowThreshold where no step holds the bound."""
    match plan.coding:
        case "raw":
            return _raw(plan)
        case "quantised":
            return _quantiser(DEFAULT_KEY_BITS, DEFAULT_VALUE_BITS, FINER)
        case "transform":
            assert profile is not None
            return _bounded(plan, snapshot, profile)


def encoders(plan: Plan, snapshot: KVSnapshot, *, room: float, profile: "OpenedProfile | None") -> Iterator[Encode]:
    """Yield encoders that may bring the snapshot to `room` bytes, the most faithful first.

    Raises QualityBelowThreshold where the coarsest code is larger.
    """
    match plan.coding:
        case "raw":
            yield _raw(plan)
        case "quantised":
            floor = LEAST_BITS_BEFORE_DROPPING if plan.may_drop else LEAST_BITS
            for key_bits, value_bits, finer in _allocations(floor):
                least = ENTROPY_SHARE * (key_bits + value_bits) / 2 / RAW_BITS * snapshot.frame.raw_bytes
                if least <= room or (key_bits, finer) == (floor, 0):
                    yield _quantiser(key_bits, value_bits, finer)
        case "transform":
            assert profile is not None
            if room >= snapshot.frame.raw_bytes:  # the selection alone reached it
                yield _bounded(plan, snapshot, profile)
            else:
                yield from _sized(plan, snapshot, room, profile)


def _raw(plan: Plan) -> Encode:
    from kvcache.coding import raw

    # "raw" is exact; a selection is measured against float16, so it is written as float16.
    exact = plan.method == "raw"
    return lambda snapshot: Coded(raw.encode(snapshot if exact else _halved(snapshot)))


def _halved(snapshot: KVSnapshot) -> KVSnapshot:
    """Return the snapshot at float16, or as it is where a number does not fit."""
    if not fits_float16(snapshot.keys, snapshot.values):
        return snapshot
    return KVSnapshot(snapshot.frame, snapshot.keys.astype(np.float16), snapshot.values.astype(np.float16))


def _allocations(floor: int) -> Iterator[tuple[int, int, int]]:
    """Yield bits of keys, bits of values, and how many more the first and last layers get, the largest first."""
    for bits in range(MOST_BITS, floor - 1, -1):
        yield bits, bits, FINER
        yield bits, bits, 0
        if bits > floor:
            yield bits, bits - 1, FINER


def _quantiser(key_bits: int, value_bits: int, finer: int) -> Encode:
    from kvcache.coding import quantised

    return lambda snapshot: Coded(quantised.encode(snapshot, key_bits=key_bits, value_bits=value_bits, finer=finer))


def _bounded(plan: Plan, snapshot: KVSnapshot, profile: "OpenedProfile") -> Encode:
    from kvcache.coding import rate

    found = _coordinates(plan, snapshot, profile)
    return _transformer(plan, found, rate.step_for_kl(found, kl=DEFAULT_KL if plan.kl is None else plan.kl))


def _sized(plan: Plan, snapshot: KVSnapshot, room: float, profile: "OpenedProfile") -> Iterator[Encode]:
    from kvcache.coding import rate

    found = _coordinates(plan, snapshot, profile)
    for share in SHARES:
        yield _transformer(plan, found, rate.step_for_bytes(found, size=int(room * share)))


def _coordinates(plan: Plan, snapshot: KVSnapshot, profile: "OpenedProfile") -> "Coordinates":
    from kvcache.coding.coordinates import coordinates

    return coordinates(snapshot, profile=profile, recency=not plan.of_stream)


def _transformer(plan: Plan, found: "Coordinates", step: int) -> Encode:
    from kvcache.coding import rate, transform

    def encode(snapshot: KVSnapshot) -> Coded:
        same = snapshot.frame is found.frame
        here = found if same else _coordinates(plan, snapshot, found.profile)
        return Coded(transform.encode_coordinates(here, step=step), rate.expected_kl(here, step=step))

    return encode
