"""Map a KV-cache into another model's on this server: choose the W-Matrix, open its file, apply it."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings

from kvcache.adapters import ModelAdapter
from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.policy import Decision, Policy
from kvcache.exchange.quality import Evidence
from kvcache.exchange.rereading import Context
from kvcache.exchange.rereading.choosing import Budget, Reading, choose
from kvcache.server import recording
from kvcache.server.models import Operation
from kvcache.server.queries import get_adapter
from kvcache.server.recording import Clock, clocked
from latentmas import blobs
from latentmas.protocol.errors import InvalidInput, ModelNotSupported, TooLarge
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.w_matrix import read_w_matrix
from marketplace.exchange.encoder import sentence_encoder
from marketplace.listings.certificates.standing import certificate_of, quality_of, reasons_of
from marketplace.listings.choosing.choice import best_for_cache, named_for_cache
from marketplace.listings.models import ListingVersion
from marketplace.listings.visibility import NOBODY, Viewer

if TYPE_CHECKING:
    from kvcache.exchange.exchange import Exchanged
    from kvcache.exchange.mapping import OpenedWMatrix

BY_MEANING = "meaning"
OPEN_W_MATRICES = 2  # kept in memory by each process; one is some ninety megabytes in float32
WORKING_BYTES = 4  # of a number, which is float32 while it is mapped
OTHERS = (
    "GET /api/kv-cache/models names the models whose memory can be exchanged; the vectors of others are aligned by "
    "POST /api/latentmas/vectors/align."
)


@dataclass(frozen=True, slots=True)
class Handed:
    """A memory to align, under the registry's name of its model, with the model's adapter."""

    snapshot: KVSnapshot
    source: ModelAdapter
    target_tokens: TargetTokens | None = None


@dataclass(frozen=True, slots=True)
class ReadingOrder:
    """How much of the context the target will read itself, and what the tokens are chosen by."""

    budget: Budget
    chooser: str | None = None
    text: str | None = None
    question: str | None = None


@dataclass(frozen=True, slots=True)
class KVCacheOrder:
    """What is asked for: the target model, the W-Matrix (None: the best certified one), and the receiver's policy.

    `target_weights` is the digest of the receiver's own weights, where it states them. `reading` chooses here what the
    target will read itself; it may have chosen already (`TargetTokens.reread`). A W-Matrix that is not public is
    applied where it is named and `viewer` may have its file; one with a price where the viewer has bought it. `paid`
    says that its owner is paid in another way: as the helper of a sale.
    """

    target_model: str
    policy: Policy
    listing: str | None = None
    version: str | None = None
    target_weights: str | None = None
    reading: ReadingOrder | None = None
    viewer: Viewer = NOBODY
    paid: bool = False


@dataclass(frozen=True, slots=True)
class KVCacheAlignment:
    """The target model's KV-cache, the version that made it, the time it took, and what the target is to read."""

    exchanged: "Exchanged"
    w_matrix: ListingVersion
    clock: Clock
    reading: Reading | None = None


def align(handed: Handed, order: KVCacheOrder, *, at: datetime) -> KVCacheAlignment:
    """Return the source's KV-cache as one of the target model, and record the run.

    Raises what `kvcache.exchange.exchange` does, ModelNotSupported for a model without a cache, WMatrixNotFound,
    VersionYankedError, PaymentRequired, and TooLarge for a memory that is more than KV_CACHE_MAX_BYTES on the
    target's side.
    """
    from kvcache.exchange.compatibility import require_unrotated
    from kvcache.exchange.exchange import exchange

    target = adapter_of(order.target_model)
    tokens_known, reading = _with_reading(handed.target_tokens, order.reading)
    frame, policy = handed.snapshot.frame, order.policy
    pair = {"source_model": handed.source.model, "target_model": target.model}
    payer = None if order.paid else order.viewer
    row = named_for_cache(order.listing, order.version, **pair, viewer=order.viewer, payer=payer) or best_for_cache(
        source_model=handed.source.model,
        target_model=target.model,
        weights=frame.weights,
        at=at,
        require_certificate=policy.require_certificate,
        payer=payer,
        context_tokens=context_tokens(frame, handed.target_tokens),
    )
    tokens = frame.tokens if handed.target_tokens is None else len(handed.target_tokens.spans)
    _check_size(row, 1 + tokens)
    w_matrix = _opened(row.file_digest)
    require_unrotated(handed.source, frame.geometry)
    if (geometry := w_matrix.document.target_geometry) is not None:
        require_unrotated(target, geometry)
    with clocked() as clock:
        exchanged = exchange(
            handed.snapshot,
            w_matrix,
            target=tokens_known,
            policy=policy,
            evidence=evidence_of(row, at=at),
            target_weights=order.target_weights,
        )
    recording.record(
        Operation.ALIGN,
        clock=clock,
        basis=exchanged.quality.basis,
        model=handed.source.model,
        method=row.method,
        width=frame.geometry.width,
        tokens=frame.tokens,
        tokens_kept=frame.tokens if handed.target_tokens else frame.tokens - exchanged.dropped,
    )
    return KVCacheAlignment(exchanged, row, clock, reading)


def _with_reading(
    tokens: TargetTokens | None, order: ReadingOrder | None
) -> tuple[TargetTokens | None, Reading | None]:
    """Return the target's tokens with those that it will read itself, and how they were chosen."""
    if order is None:
        return tokens, None
    if tokens is None:
        raise InvalidInput(
            "what the target reads itself is chosen among its own tokens, and these were not given",
            resolution="Give target_spans, the text in the target's tokens.",
            field="target_spans",
        )
    if tokens.reread is not None:
        raise InvalidInput(
            "reread_positions were given, and a budget to choose others, too; give one of them", field="reread"
        )
    embed = sentence_encoder().embed if order.chooser == BY_MEANING else None
    context = Context(tokens.text_spans, text=order.text, question=order.question, embed=embed)
    reading = choose(context, order.budget, chooser=order.chooser)
    return replace(tokens, reread=reading.positions), reading


def adapter_of(spelling: str) -> ModelAdapter:
    """Return a model's adapter. Raises ModelNotSupported whose resolution is the next call to make."""
    try:
        return get_adapter(spelling)
    except ModelNotSupported as error:
        facts = {**error.facts, "decision": Decision.UNSUPPORTED.value}
        raise ModelNotSupported(error.message, resolution=f"{error.advice} {OTHERS}", **facts) from error


def known_layers(row: ListingVersion) -> int:
    """Return how many of the target's first layers a version's correction takes; 0 without one."""
    return _opened(row.file_digest).known_layers


def evidence_of(row: ListingVersion, *, at: datetime) -> Evidence:
    """Return a version's recorded quality and certificate, or the reasons why it has none."""
    return Evidence(
        quality=quality_of(row),
        certificate=certificate_of(row),
        refusals=tuple(reasons_of(row)),
        target_weights=row.target_weights,
        at=at,
    )


def context_tokens(frame: SnapshotFrame, target: TargetTokens | None) -> int:
    """Return the length of a context, BOS not counted: in the target's tokens, or in the source's without those.

    Where a memory does not say what its first entry is, that counts as BOS.
    """
    if target is None:
        starts_with_bos = frame.positions[0] == 0 and (frame.offsets is None or not frame.offsets[0].any())
        return frame.next_position - int(starts_with_bos)
    spans = np.asarray(target.spans)
    return len(spans) - int(spans.ndim == 2 and len(spans) > 0 and not spans[0].any())


def _check_size(row: ListingVersion, tokens: int) -> None:
    size = tokens * row.target_dimension * WORKING_BYTES
    if size > (limit := settings.KV_CACHE_MAX_BYTES):
        raise TooLarge(
            f"{tokens} tokens of {row.target_model} take {size} bytes to work on; the limit is {limit}",
            resolution="Hand over a selection of the tokens: POST /api/kv-cache/compress with max_tokens, then align.",
            limit=limit,
            size=size,
        )


@lru_cache(maxsize=OPEN_W_MATRICES)
def _opened(digest: str) -> "OpenedWMatrix":
    from kvcache.exchange.mapping import open_w_matrix

    return open_w_matrix(read_w_matrix(blobs.local_path(digest), max_bytes=settings.W_MATRIX_MAX_BYTES))
