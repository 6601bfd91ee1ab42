"""Bit allocation of a quantised snapshot: bits of keys and values per layer, exact tokens, bits of the gains."""

from dataclasses import dataclass

import msgspec
import numpy as np

from kvcache.coding.encoded import Span
from kvcache.kernels.lloyd_max import MAX_BITS, require_bits
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import SnapshotFrame

SINKS = 1  # the first token; storing three more exactly cost 1 % and did not lower the KL on SmolLM2-135M
CENTRED_FROM = 32  # tokens: below this, storing the mean costs more than it saves
LEAST_LAYERS_WITH_ENDS = 3  # a shallower cache has no layers between the first and the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """`key_bits` and `value_bits` have one entry per layer. Raises InvalidInput."""

    key_bits: tuple[int, ...]
    value_bits: tuple[int, ...]
    sinks: int  # positions below this are stored as float16
    gain_bits: int
    centred: bool  # whether the mean is stored

    def __post_init__(self) -> None:
        for bits in {*self.key_bits, *self.value_bits}:
            require_bits("bits", bits)
        if self.sinks < 0:
            raise InvalidInput(f"sinks is {self.sinks}; it must be 0 or more", field="sinks")
        if self.gain_bits not in (6, 8):
            raise InvalidInput(f"gain_bits is {self.gain_bits}; it must be 6 or 8", field="gain_bits")

    @property
    def gain_symbols(self) -> int:
        return 1 << self.gain_bits

    def spans(self, frame: SnapshotFrame) -> tuple[list[Span], list[Span]]:
        """Return the tokens of each layer that are stored exactly, and those that are quantised."""
        sinks = int(np.searchsorted(frame.positions, self.sinks))
        exact = [(min(start, sinks), sinks) for start in frame.starts]
        return exact, [(max(start, sinks), frame.tokens) for start in frame.starts]


def allocate(frame: SnapshotFrame, *, key_bits: int, value_bits: int, finer: int, sinks: int) -> Allocation:
    """Return the allocation in which the first and the last layer get `finer` bits more, at most 8.

    Raises InvalidInput.
    """
    require_bits("key_bits", key_bits)
    require_bits("value_bits", value_bits)
    if type(finer) is not int or not 0 <= finer <= MAX_BITS:
        raise InvalidInput(f"finer is {finer!r}; it must be a whole number from 0 to {MAX_BITS}", field="finer")
    return Allocation(
        key_bits=_by_layer(key_bits, finer, frame.geometry.layers),
        value_bits=_by_layer(value_bits, finer, frame.geometry.layers),
        sinks=sinks,
        # A gain's error must stay below that of the levels it scales.
        gain_bits=6 if max(key_bits, value_bits) <= 4 else 8,
        centred=frame.tokens >= CENTRED_FROM,
    )


def parse_allocation(parameters: object, frame: SnapshotFrame) -> Allocation:
    """Return the allocation that a file declares. Raises InvalidInput."""
    try:
        allocation = msgspec.convert(parameters, Allocation)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the parameters of a quantised snapshot are malformed: {error}") from error
    for name in ("key_bits", "value_bits"):
        if len(getattr(allocation, name)) != frame.geometry.layers:
            raise InvalidInput(f"{name} must have one entry for each of {frame.geometry.layers} layers", field=name)
    return allocation


def _by_layer(bits: int, finer: int, layers: int) -> tuple[int, ...]:
    if layers < LEAST_LAYERS_WITH_ENDS:
        return (bits,) * layers
    ends = min(bits + finer, MAX_BITS)
    return (ends, *(bits,) * (layers - 2), ends)
