"""The KV snapshot: a model's working memory of one context, and its raw file (a safetensors file of arrays).

Keys are as the model caches them: after any key norm, with RoPE applied at the token's position.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array, TensorFile

KIND = "kv-snapshot"
VERSION = 1
REQUIRED_ARRAYS = ("keys", "values")
FRAME_ARRAYS = ("positions", "token_ids", "offsets")
MAX_BYTES = 64 << 30
MAX_POSITION = (1 << 31) - 1
RAW_BYTES_PER_NUMBER = 2  # ratios are against float16, whatever the arrays' own type is


@dataclass(frozen=True, slots=True)
class SnapshotFrame:
    """Everything about a snapshot but its keys and values. Raises InvalidInput naming the field that cannot be right.

    `positions` `[tokens]` are ascending; those missing below `next_position` were dropped. `starts` has one entry per
    layer: the first token (index, not position) that the layer still holds; a sliding-window layer may lack the oldest.
    """

    model: str | None  # registry name; None for plain arrays of no known model
    weights: str | None  # sha256:<hex> of the weights that produced it
    geometry: KVGeometry
    positions: Array  # int32 [tokens]
    next_position: int  # of the token that the model reads next
    starts: tuple[int, ...]
    token_ids: Array | None = None  # int32 [tokens], of the model's own tokenizer
    offsets: Array | None = None  # int32 [tokens, 2]: character spans in the context
    context: str | None = None  # sha256:<hex> of the context's UTF-8 text

    def __post_init__(self) -> None:
        if self.positions.ndim != 1 or not len(self.positions):
            raise InvalidInput(
                f"positions has the shape {self.positions.shape}; it must be [tokens], with at least one token",
                field="positions",
            )
        if self.positions[0] < 0 or (np.diff(self.positions) <= 0).any():
            raise InvalidInput("positions must be ascending whole numbers from 0 on", field="positions")
        if not self.positions[-1] < self.next_position <= MAX_POSITION:
            raise InvalidInput(
                f"next_position is {self.next_position}; it must lie after the last position, {self.positions[-1]}",
                field="next_position",
            )
        if len(self.starts) != self.geometry.layers or not all(0 <= start < self.tokens for start in self.starts):
            raise InvalidInput(
                f"starts must name, for each of the {self.geometry.layers} layers, one of the {self.tokens} tokens",
                field="starts",
            )
        for name, shape in (("token_ids", (self.tokens,)), ("offsets", (self.tokens, 2))):
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise InvalidInput(f"{name} has the shape {array.shape}; it must be {shape}", field=name)

    @property
    def tokens(self) -> int:
        return len(self.positions)

    @property
    def raw_bytes(self) -> int:
        """Bytes of the keys and values that the layers hold, at float16."""
        held = sum(self.tokens - start for start in self.starts)
        return held * self.geometry.layer_width * RAW_BYTES_PER_NUMBER

    @property
    def missing(self) -> int:
        """How many tokens of the context the snapshot lacks."""
        return self.next_position - self.tokens

    @property
    def is_plain(self) -> bool:
        """Whether keys and values are plain arrays: no model, one layer, one head, nothing rotated."""
        geometry = self.geometry
        return self.model is None and (geometry.layers, geometry.heads, geometry.rotary_dim) == (1, 1, 0)

    def moved(self, first: int) -> "SnapshotFrame":
        """Return the frame with `first` added to its positions. Raises InvalidInput beyond the last possible one."""
        return replace(self, positions=self.positions + first, next_position=self.next_position + first)

    def select(self, kept: Array) -> "SnapshotFrame":
        """Return the frame of the tokens whose ascending indices are `kept`."""
        starts = tuple(int(np.searchsorted(kept, start)) for start in self.starts)
        # A layer that keeps no token still needs an entry in `starts`: the last index.
        starts = tuple(min(start, len(kept) - 1) for start in starts)
        return replace(
            self,
            positions=self.positions[kept],
            starts=starts,
            token_ids=None if self.token_ids is None else self.token_ids[kept],
            offsets=None if self.offsets is None else self.offsets[kept],
        )


@dataclass(frozen=True, slots=True)
class KVSnapshot:
    """Keys `[layers, tokens, heads, head_dim]` and values `[layers, tokens, heads, value_width]`, float32 or float16.

    What a layer does not hold (see `SnapshotFrame.starts`) is zero. Raises DimensionMismatch or InvalidInput.
    """

    frame: SnapshotFrame
    keys: Array
    values: Array

    def __post_init__(self) -> None:
        geometry = self.frame.geometry
        shape = (geometry.layers, self.frame.tokens, geometry.heads)
        for name, width in (("keys", geometry.head_dim), ("values", geometry.value_width)):
            array = getattr(self, name)
            if array.shape != (*shape, width):
                raise DimensionMismatch(
                    f"{name} has the shape {array.shape}; this geometry needs {(*shape, width)}", field=name
                )
            if array.dtype not in (np.float32, np.float16):
                raise InvalidInput(f"{name} is {array.dtype}; it must be float32 or float16", field=name)
            tensors.require_finite(name, array)

    def select(self, kept: Array) -> "KVSnapshot":
        """Return the snapshot of the tokens whose ascending indices are `kept`."""
        return KVSnapshot(self.frame.select(kept), self.keys[:, kept], self.values[:, kept])


def whole(geometry: KVGeometry, tokens: int, **known: Any) -> SnapshotFrame:
    """Return the frame of an unabridged cache: every layer holds the positions 0 to `tokens` - 1."""
    return SnapshotFrame(
        **{"model": None, "weights": None} | known,
        geometry=geometry,
        positions=np.arange(tokens, dtype=np.int32),
        next_position=tokens,
        starts=(0,) * geometry.layers,
    )


def needed(snapshot: KVSnapshot, *, reader: int | None = None) -> tuple[KVSnapshot, Array]:
    """Return the snapshot without what sliding windows hide from every later token, and its tokens' ascending indices.

    A token that no layer needs is gone altogether; one that a layer lacks is zero there. `reader` is the position of
    the first token that is yet to be read, by default the one after the context.
    """
    frame, starts = snapshot.frame, needed_starts(snapshot.frame, reader=reader)
    first = min(min(starts), frame.tokens - 1)
    tokens = np.arange(first, frame.tokens)
    if first == 0 and starts == frame.starts:
        return snapshot, tokens
    # A layer that needs no token at all still has an entry: the last one.
    kept = tuple(min(start - first, len(tokens) - 1) for start in starts)
    keys, values = snapshot.keys[:, first:].copy(), snapshot.values[:, first:].copy()
    for layer, start in enumerate(starts):
        keys[layer, : start - first] = 0
        values[layer, : start - first] = 0
    return KVSnapshot(replace(frame.select(tokens), starts=kept), keys, values), tokens


def needed_starts(frame: SnapshotFrame, *, reader: int | None = None) -> tuple[int, ...]:
    """Return, for each layer, the first token (index) that the token at position `reader` or a later one can see.

    That is `next_position` by default. A window of 512 holds the token itself and the 511 before it.
    """
    first = frame.next_position if reader is None else reader
    return tuple(
        start if window is None else max(start, int(np.searchsorted(frame.positions, first - window + 1)))
        for start, window in zip(frame.starts, frame.geometry.windows, strict=True)
    )


def write_snapshot(snapshot: KVSnapshot, **further: Array | None) -> bytes:
    """Return the raw snapshot's file with the further tensors that are not None; the same input gives the same bytes.

    Raises InvalidInput for a tensor of an unknown dtype.
    """
    frame = snapshot.frame
    arrays = {"keys": snapshot.keys, "values": snapshot.values} | frame_arrays(frame)
    arrays |= {name: array for name, array in further.items() if array is not None}
    file = BytesIO()
    tensors.write(file, arrays, {"kind": KIND, "version": VERSION, **frame_document(frame)})
    return file.getvalue()


def read_snapshot(
    file: Path | bytes | TensorFile,
    *,
    further: Collection[str] = (),
    field: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> tuple[KVSnapshot, dict[str, Array]]:
    """Return the snapshot in a file, and those of the tensors named in `further` that it holds too.

    Raises InvalidInput (naming `field` where the file is no such snapshot), DimensionMismatch or TooLarge.
    """
    opened = tensors.open_tensors(file, max_bytes=max_bytes)
    document = dict(opened.document)
    if (document.pop("kind", None), document.pop("version", None)) != (KIND, VERSION):
        raise InvalidInput(
            f"this is no raw KV snapshot: its document must say kind {KIND!r}, version {VERSION}", field=field
        )
    known = (*REQUIRED_ARRAYS, *FRAME_ARRAYS, *further)
    if strangers := sorted(set(opened.tensors) - set(known)):
        others = f"; known are {', '.join(known)}" if further else ""
        raise InvalidInput(f"a KV snapshot has no tensor {strangers[0]!r}{others}", field=field)
    arrays = {name: opened.read(name) for name in opened.tensors}
    for name in REQUIRED_ARRAYS:
        if name not in arrays:
            raise InvalidInput(f"the KV snapshot lacks the tensor {name!r}", field=name)
    snapshot = KVSnapshot(parse_frame(document, arrays), arrays["keys"], arrays["values"])
    return snapshot, {name: arrays[name] for name in further if name in arrays}


@dataclass(frozen=True, slots=True, kw_only=True)
class _FrameDocument:
    model: str | None
    weights: str | None
    geometry: KVGeometry
    next_position: int
    starts: tuple[int, ...]
    context: str | None


def frame_document(frame: SnapshotFrame) -> dict[str, Any]:
    """Return what `parse_frame` needs beside the arrays, as canonical plain data."""
    document: Any = plain(
        _FrameDocument(
            model=frame.model,
            weights=frame.weights,
            geometry=frame.geometry,
            next_position=frame.next_position,
            starts=frame.starts,
            context=frame.context,
        )
    )
    return dict(document)


def frame_arrays(frame: SnapshotFrame) -> dict[str, Array]:
    """Return the frame's arrays by name, without those that are absent."""
    arrays = {name: getattr(frame, name) for name in FRAME_ARRAYS}
    return {name: array.astype(np.int32) for name, array in arrays.items() if array is not None}


def parse_frame(document: object, arrays: dict[str, Array]) -> SnapshotFrame:
    """Return the frame that a document and its arrays describe. Raises InvalidInput."""
    try:
        known = msgspec.convert(document, _FrameDocument, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the snapshot's document is malformed: {error}") from error
    if "positions" not in arrays:
        raise InvalidInput("the snapshot lacks the tensor 'positions'", field="positions")
    return SnapshotFrame(
        model=known.model,
        weights=known.weights,
        geometry=known.geometry,
        positions=arrays["positions"],
        next_position=known.next_position,
        starts=known.starts,
        token_ids=arrays.get("token_ids"),
        offsets=arrays.get("offsets"),
        context=known.context,
    )
