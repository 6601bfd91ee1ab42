"""The raw coding: keys and values unchanged, without the entries that a layer does not hold."""

from typing import Any, Final

import numpy as np

from kvcache.coding.encoded import Encoded, Span, gather, require_sections, scatter, tokens_in
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array

CODING: Final = "raw"


def encode(snapshot: KVSnapshot) -> Encoded:
    """Return keys and values of a snapshot in their own type, float16 or float32; bit-exact."""
    held = _held(snapshot.frame)
    sections = {"keys": gather(snapshot.keys, held), "values": gather(snapshot.values, held)}
    return Encoded(CODING, {}, sections)


def decode(encoded: Encoded, frame: SnapshotFrame, *, profile: Any = None) -> tuple[Array, Array]:
    """Return keys and values, float32. Raises InvalidInput."""
    del profile
    if encoded.parameters:
        raise InvalidInput(f"the coding {CODING!r} has no parameters", field="parameters")
    held = _held(frame)
    geometry = frame.geometry
    numbers = tokens_in(held) * geometry.heads
    dtype = "float16" if any(array.dtype == np.float16 for array in encoded.sections.values()) else "float32"
    widths = {"keys": geometry.head_dim, "values": geometry.value_width}
    require_sections(encoded, {name: (dtype, (numbers * width,)) for name, width in widths.items()})
    arrays = {}
    for name, width in widths.items():
        arrays[name] = np.zeros((geometry.layers, frame.tokens, geometry.heads, width), np.float32)
        scatter(encoded.sections[name], held, arrays[name])
    return arrays["keys"], arrays["values"]


def _held(frame: SnapshotFrame) -> list[Span]:
    return [(start, frame.tokens) for start in frame.starts]
