"""Which entry of the source's cache each entry of the target's is made from, and at which position it stands.

Either the source's tokens are kept as they are, and the text need not be known, or the target's tokens of the text are
given and each takes its causal partner by character spans. Position 0 is the target's own attention sink in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

import numpy as np

from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array, require_finite

if TYPE_CHECKING:
    from kvcache.exchange.mapping import OpenedWMatrix  # at run time it brings JAX along

Spans = Sequence[tuple[int, int]] | Array  # `[tokens, 2]`: where each token starts and ends in the text

BOS = -1  # the partner is the source's BOS entry
NOBODY = -2  # the partner is not in the snapshot
# |row - BOS row| / |BOS row|. BOS sees nothing but itself, so its row is the same in every cache up to rounding; this
# leaves room for a coarsely quantised one. No text token of SmolLM2-135M or Gemma-3-270M came nearer than 0.6.
BOS_TOLERANCE = 0.2
# Share of layers in which a sink's row is nearer to BOS than to the mean token; no first token after BOS reached it.
SINK_SHARE = 0.5


class Mode(StrEnum):
    SOURCE_TOKENS = "source-tokens"
    SPANS = "spans"


class First(Enum):
    """What the snapshot's first entry is."""

    ABSENT = "absent"  # the snapshot begins after position 0
    BOS = "bos"
    SINK = "sink"  # a token of the text that was read without BOS and took the sink's place
    TOKEN = "token"  # noqa: S105 - a token like any other


@dataclass(frozen=True, slots=True)
class TargetTokens:
    """The context in the target's own tokens: character spans `[tokens, 2]`, and ids if known.

    BOS may come first, as the tokenizer gives it, with the span (0, 0). `source_spans` are those of *all* of the
    source's tokens, also of those that a selection dropped; without them the snapshot's offsets serve, and a target
    token whose partner may have been dropped is dropped too. `first_layer` `[tokens, n * w]` has a row for each span:
    the token's keys, without RoPE and after any key norm, and values in the target's first layers, layer by layer, as
    it caches them; as many layers as the correction takes, or more. `reread` `[n]` are the ascending positions of
    tokens that the target will read itself (`kvcache.exchange.rereading`): BOS stands at 0. `states` `[tokens, hidden]`
    are what enters the last of the first layers; they stay with the receiver, who begins there when it reads.
    """

    spans: Spans
    ids: Array | None = None
    source_spans: Spans | None = None
    first_layer: Array | None = None
    reread: Array | None = None
    states: Array | None = None

    @property
    def text_spans(self) -> Array:
        """The spans without BOS's. Raises InvalidInput where they are malformed."""
        return _without_bos(_checked("target_spans", self.spans))


@dataclass(frozen=True, slots=True)
class Places:
    """The target memory's entries. `partners` `[n]` are snapshot indices or BOS; `positions` `[n]` ascend from 1 on.

    `token_ids` and `offsets` `[1 + n]` are the target's, its sink's in front, where all of them are known, and
    `first_layer` `[n, width]` holds its first layers without the sink, float32. `reread` `[n]` are the positions of
    tokens that the target is yet to read itself.
    """

    mode: Mode
    partners: Array
    positions: Array
    next_position: int
    token_ids: Array | None
    offsets: Array | None
    dropped: int  # number of the target's tokens (in span mode) or the snapshot's that have no entry
    first_layer: Array | None = None
    reread: Array | None = None

    @property
    def reader(self) -> int | None:
        """The position of the first token that the target is yet to read; None for that after the context."""
        return None if self.reread is None else int(self.reread[0])

    def only(self, kept: Array) -> "Places":
        """Return the places of the tokens where the mask `kept` `[n]` is true."""
        with_sink = np.concatenate([[True], kept])
        return replace(
            self,
            partners=self.partners[kept],
            positions=self.positions[kept],
            token_ids=None if self.token_ids is None else self.token_ids[with_sink],
            offsets=None if self.offsets is None else self.offsets[with_sink],
            dropped=self.dropped + int((~kept).sum()),
            first_layer=None if self.first_layer is None else self.first_layer[kept],
        )


def first_entry(snapshot: KVSnapshot, w_matrix: "OpenedWMatrix") -> First:
    """Return what the snapshot begins with: by its offsets where it has them, then by its row.

    Models send attention that has nowhere to go to the first position, the attention sink (StreamingLLM, arXiv
    2309.17453), whose keys and values are unlike all others. It is never mapped: the target's own sink replaces it.

    A row's norm does not tell: standardised, a sink is no larger than a token. Its direction does.
    """
    frame = snapshot.frame
    if frame.positions[0] != 0:
        return First.ABSENT
    named = None if frame.offsets is None else frame.offsets[0]
    if named is not None and not named.any():  # (0, 0): a special token, which stands for no character
        return First.BOS
    layers = np.flatnonzero(np.asarray(frame.starts) == 0)
    if w_matrix.map.source_bos is None or not len(layers):
        return First.TOKEN
    from kvcache.rows import pack_rows  # brings JAX along

    row = pack_rows(snapshot.keys[:, :1], snapshot.values[:, :1], geometry=frame.geometry)[0]
    held, bos, mean, scale = (
        each.reshape(frame.geometry.layers, -1)[layers]
        for each in (row, w_matrix.map.source_bos, w_matrix.map.source_mean, w_matrix.map.source_scale)
    )
    if named is None and np.linalg.norm(held - bos) <= BOS_TOLERANCE * np.linalg.norm(bos):
        return First.BOS
    nearer = _distance(held, bos, scale) < _distance(held, mean, scale)
    return First.SINK if float(nearer.mean()) > SINK_SHARE else First.TOKEN


def source_places(frame: SnapshotFrame, *, first: First, usable: int) -> Places:
    """Return places that keep the source's tokens from index `usable` on at their positions, without its sink."""
    kept = np.arange(max(usable, int(first in (First.BOS, First.SINK))), frame.tokens)
    # A text token at position 0 moves up by one, with all that follow, since the target's sink comes first.
    shift = int(first in (First.SINK, First.TOKEN))
    return Places(
        mode=Mode.SOURCE_TOKENS,
        partners=kept,
        positions=frame.positions[kept] + shift,
        next_position=frame.next_position + shift,
        token_ids=None,  # the snapshot's are of another tokenizer
        offsets=None if frame.offsets is None else _after_sink(np.zeros(2), frame.offsets[kept]),
        dropped=frame.tokens - len(kept) - int(first is First.BOS),
    )


def span_places(frame: SnapshotFrame, target: TargetTokens, *, first: First, usable: int, width: int | None) -> Places:
    """Return places that give every target token its causal partner, without those whose partner is missing.

    `width` is that of the first layers that the W-Matrix's correction takes; None where it has none. Raises
    InvalidInput where the spans of one side are unknown or malformed, and DimensionMismatch for first layers that do
    not suffice.
    """
    given = _checked("target_spans", target.spans)
    ids = _checked_ids(target.ids, len(given))
    spans = _without_bos(given)
    layer = _checked_layer(target.first_layer, len(given), width)
    if target.source_spans is not None:
        partners = _exact_partners(frame, spans, _without_bos(_checked("source_spans", target.source_spans)))
    else:
        partners = _known_partners(frame, spans, first=first)
    skipped = max(usable, int(first in (First.BOS, First.SINK)))
    partners = np.where((partners >= 0) & (partners < skipped), NOBODY, partners)
    kept = np.flatnonzero(partners != NOBODY)
    return Places(
        mode=Mode.SPANS,
        partners=partners[kept],
        positions=(kept + 1).astype(np.int32),
        next_position=len(spans) + 1,
        token_ids=None if ids is None or len(spans) == len(given) else _after_sink(ids[0], ids[1:][kept]),
        offsets=_after_sink(np.zeros(2), spans[kept]),
        dropped=len(spans) - len(kept),
        first_layer=None if layer is None else layer[len(given) - len(spans) :][kept],
        reread=_checked_reread(target.reread, len(spans)),
    )


def causal_pairs(source: Spans, target: Spans) -> Array:
    """Return for each target token the row of the last source token that ends no later than it does.

    Rows count from the BOS entry: row 0 is BOS (no source token has ended yet), row i + 1 is source token i. The same
    tokenizer on both sides gives the identity.
    """
    # A byte-level tokenizer can split one character: several tokens then end at the same place, and the last is taken.
    source_ends = np.maximum.accumulate(_ends(source))
    target_ends = _ends(target)
    return np.searchsorted(source_ends, target_ends, side="right")


def _exact_partners(frame: SnapshotFrame, spans: Array, source_spans: Array) -> Array:
    """Return partners as snapshot indices, from the spans of all source tokens, dropped ones included."""
    shift = frame.next_position - len(source_spans)
    if shift not in (0, 1):
        raise InvalidInput(
            f"source_spans has {len(source_spans)} entries for a context of {frame.next_position} positions; it must "
            "have one for every source token, those that were dropped too, and none for BOS",
            field="source_spans",
        )
    rows = causal_pairs(source_spans, spans)
    index = np.full(frame.next_position, NOBODY)
    index[frame.positions] = np.arange(frame.tokens)
    return np.where(rows == 0, BOS, index[np.maximum(rows - 1 + shift, 0)])


def _known_partners(frame: SnapshotFrame, spans: Array, *, first: First) -> Array:
    """Return partners as snapshot indices, from the snapshot's own offsets; NOBODY where a gap may hide the partner."""
    if frame.offsets is None:
        raise InvalidInput(
            "the snapshot does not say which characters its tokens stand for, so they cannot be paired with the "
            "target's",
            resolution="Capture it with offsets, give source_spans, or leave target_spans out: the source's tokens are "
            "then kept as they are.",
            field="offsets",
        )
    bos = int(first is First.BOS)
    offsets, positions = frame.offsets[bos:], frame.positions[bos:]
    rows = causal_pairs(offsets, spans)
    ends = np.concatenate([[0], np.maximum.accumulate(offsets[:, 1])])  # of row 0, BOS, and of each token
    places = np.concatenate([[bos - 1], positions, [frame.next_position]])
    gap_follows = np.diff(places) > 1
    hidden = gap_follows[rows] & (spans[:, 1] > ends[rows])
    partners = np.where(rows == 0, BOS, rows - 1 + bos)
    return np.where(hidden, NOBODY, partners)


def _after_sink(sink: Array, tokens: Array) -> Array:
    return np.concatenate([sink[None], tokens]).astype(np.int32)


def _without_bos(spans: Array) -> Array:
    return spans if spans[0].any() else spans[1:]


def _checked_ids(given: Array | None, tokens: int) -> Array | None:
    if given is None:
        return None
    ids = np.asarray(given)
    if ids.shape != (tokens,) or ids.dtype.kind not in "iu":
        raise InvalidInput(
            f"target_ids has the shape {ids.shape} of {ids.dtype}; it must name {tokens} tokens, as the spans do",
            field="target_ids",
        )
    return ids


def _checked_layer(given: Array | None, tokens: int, width: int | None) -> Array | None:
    """Return as many of the target's first layers as a correction takes, float32; more may be given."""
    if given is None:
        return None
    layer = np.asarray(given)
    expected = (tokens, width or 1)
    fits = layer.ndim == len(expected) and layer.shape[0] == tokens and layer.shape[1] >= expected[1]
    if not fits or layer.dtype not in (np.float16, np.float32):
        raise DimensionMismatch(
            f"target_first_layer has the shape {layer.shape} of {layer.dtype}; it must be {expected}, float16 or "
            "float32: a row for each of target_spans, with the keys and values of the target's first layers",
            resolution="Take it from awareness_sdk.first_layer.first_layers_of with the ids of the same tokens, or "
            "leave it out: the memory is then handed over without the correction.",
            field="target_first_layer",
            expected=list(expected),
            came=list(layer.shape),
        )
    require_finite("target_first_layer", layer)
    return layer[:, :width].astype(np.float32)


def _checked_reread(given: Array | None, tokens: int) -> Array | None:
    """Return the positions that are read, None for none. Raises InvalidInput for one that is not there."""
    if given is None or not np.size(given):
        return None
    positions = np.asarray(given)
    if positions.ndim != 1 or positions.dtype.kind not in "iu" or (np.diff(positions) <= 0).any():
        raise InvalidInput("reread must be ascending whole numbers, the positions of tokens", field="reread")
    if positions[0] < 1 or positions[-1] > tokens:
        raise InvalidInput(
            f"reread goes from {positions[0]} to {positions[-1]}; the context has the positions 1 to {tokens}, after "
            "BOS at 0",
            field="reread",
        )
    return positions


def _checked(name: str, given: Spans) -> Array:
    spans = np.asarray(given)
    if spans.ndim != 2 or spans.shape[1] != 2 or not len(spans) or spans.dtype.kind not in "iu":
        raise InvalidInput(
            f"{name} has the shape {spans.shape} of {spans.dtype}; it must be [tokens, 2] whole numbers", field=name
        )
    if (spans < 0).any() or (spans[:, 1] < spans[:, 0]).any():
        raise InvalidInput(f"{name} must hold [start, end) with 0 <= start <= end", field=name)
    return spans


def _ends(spans: Spans) -> Array:
    return np.asarray(spans, dtype=np.int64).reshape(-1, 2)[:, 1]


def _distance(rows: Array, centre: Array, scale: Array) -> Array:
    """Return for each layer how far a row lies from a centre, in the source's standard deviations."""
    return np.asarray(np.square((rows - centre) / scale).sum(axis=-1))
