"""EXCHANGE_MEMORY (specification 3.5.3): (kv_source, M_source, M_target, W) -> (kv_aligned, quality), any geometries.

RoPE is removed at the source's positions and applied at the target's, the target's own attention sink goes in front,
and its sliding-window layers keep the tokens in their windows. Time grows linearly with the number of tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kvcache.exchange import placement
from kvcache.exchange.compatibility import UNSUPPORTED, check_document, check_held, check_source
from kvcache.exchange.findings import Handover, findings_of
from kvcache.exchange.mapping import Innovations, OpenedWMatrix, open_w_matrix
from kvcache.exchange.placement import First, Mode, Places, TargetTokens, first_entry
from kvcache.exchange.policy import GENERATE, Decision, Policy, require_acceptable, require_likely
from kvcache.exchange.quality import AlignmentQuality, Evidence, Use, judged, latent_distances, quality_of
from kvcache.exchange.signs import Seen
from kvcache.kernels.tiles import tiles
from kvcache.rows import pack_rows, unpack_into, unpack_rows
from latentmas.protocol.errors import DimensionMismatch
from latentmas.protocol.quality import IN_PLACE, TokenMode
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame, needed
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import WMatrix

EXPLAINED = 256  # tokens, about, of which it is looked at how much the encoder sees; their median is the memory's
FLOAT16_LIMIT = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The target's memory with its quality; `findings` are sentences for the receiver.

    The snapshot names the target model but no weights: they did not compute this cache, so it must not pass for an
    exact one. `dropped`: how many tokens are not in the memory. `corrected`: whether the target's first layer was given
    and the W-Matrix corrected the other layers by it. `signs` are what a forecast rests on.
    """

    snapshot: KVSnapshot
    quality: AlignmentQuality
    decision: Decision
    mode: Mode
    dropped: int
    findings: tuple[str, ...]
    corrected: bool
    signs: Mapping[str, float]


def exchange(
    snapshot: KVSnapshot,
    w_matrix: WMatrix | OpenedWMatrix,
    *,
    target: TargetTokens | None = None,
    policy: Policy | None = None,
    evidence: Evidence | None = None,
    target_weights: str | None = None,
) -> Exchanged:
    """Return the memory as a KV-cache of the target model, for it to continue from; float16 where the source's is.

    Without `target` there is one entry for each of the source's tokens, and the text need not be known; with it and
    its first layer, a W-Matrix that has a correction applies it. `target_weights` is the digest of the receiver's own
    weights; others than the figures were measured with are a finding.

    Raises QualityBelowThreshold (decision `fallback_reprefill`) below the policy, WMatrixNotFound, DimensionMismatch
    or ModelNotSupported (`unsupported`) for a W-Matrix or a snapshot that does not fit, and InvalidInput.
    """
    opened = w_matrix if isinstance(w_matrix, OpenedWMatrix) else open_w_matrix(w_matrix)
    policy, evidence = policy or Policy(), evidence or Evidence()
    document, frame = opened.document, snapshot.frame
    check_document(document)
    check_source(frame, document)
    sink = _target_sink(opened)
    usable = check_held(frame, allow_partial=policy.allow_partial)
    first = first_entry(snapshot, opened)
    placed = _placed(frame, target, opened, first=first, usable=usable)
    use = _use(placed, opened, evidence)
    quality = quality_of(document, evidence, use)
    require_acceptable(document, quality, evidence=evidence, policy=policy, use=use)
    aligned, seen = _mapped(snapshot, placed, opened, sink=sink)
    quality = judged(quality, seen, document=document, use=use)
    require_likely(document, quality, policy=policy, use=use)
    done = Handover(
        frame=frame,
        opened=opened,
        first=first,
        placed=placed,
        quality=quality,
        evidence=evidence,
        use=use,
        target_weights=target_weights,
    )
    return _exchanged(done, _as_precise_as(snapshot, needed(aligned, reader=placed.reader)[0]), seen)


def _exchanged(done: Handover, aligned: KVSnapshot, seen: Seen) -> Exchanged:
    return Exchanged(
        snapshot=aligned,
        quality=done.quality,
        decision=Decision.APPLIED,
        mode=done.placed.mode,
        dropped=done.placed.dropped,
        findings=findings_of(done),
        corrected=seen.innovations is not None,
        signs=seen.signs(),
    )


def _use(placed: Places, opened: OpenedWMatrix, evidence: Evidence) -> Use:
    """Return how the memory is handed over; the context ends where the receiver goes on, and BOS is none of it."""
    tokens = placed.next_position - 1
    plain = opened.map.correction is not None and placed.first_layer is None
    mode = TokenMode.TOKENS_KNOWN if placed.mode is Mode.SPANS else TokenMode.SOURCE_TOKENS
    read = 0 if placed.reread is None else len(placed.reread)
    if read >= int(IN_PLACE * tokens) > 0 and not plain and evidence.measured_in(TokenMode.READ_IN_PLACE):
        mode = TokenMode.READ_IN_PLACE
    return Use(mode=mode, tokens=tokens, plain=plain)


def _target_sink(opened: OpenedWMatrix) -> Array:
    if opened.map.target_bos is None:
        raise DimensionMismatch(
            f"this W-Matrix lacks target_bos, the attention sink without which {opened.document.target_model} cannot "
            "read a memory",
            resolution=f"Regenerate the W-Matrix for these models: {GENERATE}.",
            decision=UNSUPPORTED,
        )
    return opened.map.target_bos


def _placed(
    frame: SnapshotFrame, target: TargetTokens | None, opened: OpenedWMatrix, *, first: First, usable: int
) -> Places:
    """Return the target's tokens with the source tokens they are mapped from. Raises DimensionMismatch for none."""
    if target is None:
        placed = placement.source_places(frame, first=first, usable=usable)
    else:
        width = None if opened.map.correction is None else opened.map.correction.width
        placed = placement.span_places(frame, target, first=first, usable=usable, width=width)
    # Without source_bos in the file the source's row of BOS is unknown, and what would be mapped from it is left out.
    if opened.map.source_bos is None and not (kept := placed.partners != placement.BOS).all():
        placed = placed.only(kept)
    if not len(placed.partners):
        raise DimensionMismatch(
            "no token of the snapshot can be mapped",
            resolution="Capture the context with BOS in front and every token in every layer.",
            decision=UNSUPPORTED,
        )
    return placed


def _mapped(snapshot: KVSnapshot, placed: Places, opened: OpenedWMatrix, *, sink: Array) -> tuple[KVSnapshot, Seen]:
    """Return the target's snapshot, every token in every layer, and what was seen of the source's on the way."""
    latents, unexplained = _latents(snapshot, opened, start=_first_mapped(placed))
    innovations = _innovations(placed, opened)
    aligned = _built(latents, placed, opened, innovations, sink=sink, frame=snapshot.frame)
    return aligned, _seen(latents[1:], unexplained, innovations, opened, tokens=placed.next_position - 1)


def _first_mapped(placed: Places) -> int:
    tokens = placed.partners[placed.partners >= 0]
    return int(tokens.min()) if len(tokens) else 0


def _latents(snapshot: KVSnapshot, opened: OpenedWMatrix, *, start: int) -> tuple[Array, Array | None]:
    """Return the latents `[1 + tokens, du]` of BOS and of every token of the snapshot from `start` on.

    Tokens before `start` are left out, so row i + 1 is token start + i. Beside them, of EXPLAINED tokens or more that
    stand evenly, the share of each one's row that the encoder does not see, where a forecast needs it.
    """
    frame = snapshot.frame
    bos = np.zeros_like(opened.map.source_mean) if opened.map.source_bos is None else opened.map.source_bos
    parts = [opened.map.encode(bos[None])]
    every = max(1, (frame.tokens - start) // EXPLAINED)
    shares = []
    for part in tiles(frame.tokens - start):
        tile = slice(start + part.start, start + part.stop)
        keys, values = snapshot.keys[:, tile], snapshot.values[:, tile]
        rows = pack_rows(keys, values, geometry=frame.geometry, positions=frame.positions[tile])
        parts.append(opened.map.encode(rows))
        if opened.map.explaining is not None:
            shares.append(opened.map.unexplained(rows[::every], parts[-1][::every]))
    return np.concatenate(parts), np.concatenate(shares) if shares else None


def _seen(
    latents: Array, unexplained: Array | None, innovations: Innovations | None, opened: OpenedWMatrix, *, tokens: int
) -> Seen:
    scale, squares = opened.map.latent_scale, None
    if innovations is not None:
        raw = innovations.found
        squares = np.square(raw / opened.map.target_scale[: raw.shape[1]]).mean(axis=1)
    distances = None if scale is None else latent_distances(latents, scale)
    return Seen(tokens=tokens, distances=distances, unexplained=unexplained, innovations=squares)


def _built(
    latents: Array,
    placed: Places,
    opened: OpenedWMatrix,
    innovations: Innovations | None,
    *,
    sink: Array,
    frame: SnapshotFrame,
) -> KVSnapshot:
    """Return the target's snapshot: its sink at position 0, then the mapped tokens, rotated at their positions."""
    geometry = opened.document.target_geometry
    assert geometry is not None  # check_document saw it
    tokens = 1 + len(placed.partners)
    shape = (geometry.layers, tokens, geometry.heads)
    keys = np.empty((*shape, geometry.head_dim), np.float32)
    values = np.empty((*shape, geometry.value_width), np.float32)
    keys[:, :1], values[:, :1] = unpack_rows(sink[None], geometry=geometry)
    wanted = np.where(placed.partners == placement.BOS, 0, placed.partners - _first_mapped(placed) + 1)
    for tile in tiles(len(wanted)):
        into = slice(1 + tile.start, 1 + tile.stop)
        rows = opened.map.decode(latents[wanted[tile]], innovations)
        unpack_into(keys[:, into], values[:, into], rows, geometry=geometry, positions=placed.positions[tile])
    aligned = SnapshotFrame(
        model=opened.document.target_model,
        weights=None,
        geometry=geometry,
        positions=np.concatenate([[0], placed.positions]).astype(np.int32),
        next_position=placed.next_position,
        starts=(0,) * geometry.layers,
        token_ids=placed.token_ids,
        offsets=placed.offsets,
        context=frame.context,
    )
    return KVSnapshot(aligned, keys, values)


def _innovations(placed: Places, opened: OpenedWMatrix) -> Innovations | None:
    correction = opened.map.correction
    if correction is None or placed.first_layer is None:
        return None
    return Innovations(placed.first_layer, positions=placed.positions, lags=correction.lags)


def _as_precise_as(source: KVSnapshot, aligned: KVSnapshot) -> KVSnapshot:
    if source.keys.dtype != np.float16:
        return aligned
    if max(np.abs(aligned.keys).max(), np.abs(aligned.values).max()) > FLOAT16_LIMIT:
        return aligned
    return KVSnapshot(aligned.frame, aligned.keys.astype(np.float16), aligned.values.astype(np.float16))
