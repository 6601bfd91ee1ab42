"""One memory in the form that a buyer asks for: as it was published, decoded, or as another model's."""

from dataclasses import dataclass, field, replace

from django.utils import timezone

from kvcache.exchange.policy import Policy, quality_facts
from kvcache.exchange.target_file import ended_by
from latentmas.protocol.cropping import crop
from latentmas.protocol.snapshot import write_snapshot
from marketplace.agents.models import Agent
from marketplace.artefacts.outputs import UNREAD
from marketplace.artefacts.ways import Way
from marketplace.exchange.kv_cache import Handed, KVCacheAlignment, KVCacheOrder, align
from marketplace.exchange.kv_cache_inputs import from_file
from marketplace.listings.models import Listing
from marketplace.sales.goods import Delivery, Form, Helper

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Published:
    """A memory as it was published, of so many tokens: its file, and the digest by which it is on record."""

    name: str  # sha256:<hex> of the version's or the segment's file, which a chain's memory is only a part of
    data: bytes
    model: str
    tokens: int


@dataclass(frozen=True, slots=True)
class FormedMemory:
    """A memory's file for a buyer, with so many `entries`; `report` is what he should know of it.

    `tokens` are those of what was published, also where it is delivered in another model's: it is paid by them.
    """

    data: bytes
    tokens: int
    entries: int
    helper: Helper | None = None
    report: Json = field(default_factory=dict)


def formed(published: Published, delivery: Delivery, way: Way | None, *, end: int | None = None) -> FormedMemory:
    """Return a published memory as a delivery asks for it, cropped to `end` tokens of its context.

    `way` says how it is aligned, where it is.

    Raises what `marketplace.exchange.kv_cache.align` does where its quality gate refuses, and InvalidInput for a crop
    that cannot be made.
    """
    if delivery.form is Form.COMPRESSED:
        return FormedMemory(published.data, published.tokens, published.tokens)
    handed = from_file(published.data, source_model=published.model)
    whole = handed.snapshot.frame.next_position
    if end is not None:
        handed = replace(handed, snapshot=crop(handed.snapshot, end))
    if way is None:
        held = handed.snapshot.frame.tokens
        return FormedMemory(write_snapshot(handed.snapshot), held, held)
    # What a published file itself says of the target's tokens is its seller's word: only what was made here counts.
    known = way.tokens_of(published.name)
    if isinstance(known, str):
        return _aligned(replace(handed, target_tokens=None), delivery, way, kept=known)
    if end is not None:
        known = ended_by(known, end, next_position=whole)
    return _aligned(replace(handed, target_tokens=known), delivery, way)


def trust_in(entries: int) -> Json:
    """Return which tokens of a delivery a consumer may trust: none, as a stranger's model has read them."""
    return {"trusted_tokens": 0, "untrusted_tokens": entries, "notice": UNREAD}


def _aligned(handed: Handed, delivery: Delivery, way: Way, *, kept: str | None = None) -> FormedMemory:
    """Return the memory aligned; `kept` says why its own tokens are."""
    assert delivery.target_model is not None  # the offer was checked
    order = KVCacheOrder(
        target_model=delivery.target_model,
        policy=Policy(minimum_retention=delivery.minimum_retention),
        target_weights=delivery.target_weights,
        paid=True,  # by the share of this sale that its owner earns
        listing=way.w_matrix.listing_id,
        version=way.w_matrix.version,
    )
    done = align(handed, order, at=timezone.now())
    snapshot = done.exchanged.snapshot
    return FormedMemory(
        write_snapshot(snapshot),
        handed.snapshot.frame.tokens,
        snapshot.frame.tokens,
        helper=_helper(done),
        report=_report(done, kept),
    )


def _helper(done: KVCacheAlignment) -> Helper:
    """Return whose W-Matrix was used: an agent's, or the operator's own where the factory has listed it."""
    owner = Listing.objects.filter(id=done.w_matrix.listing_id).values_list("seller", flat=True).first()
    agent = owner if owner is not None and Agent.objects.filter(id=owner).exists() else None
    return Helper(agent, done.w_matrix.listing_id, done.w_matrix.version)


def _report(done: KVCacheAlignment, kept: str | None) -> Json:
    exchanged, row = done.exchanged, done.w_matrix
    return {
        "target_model": row.target_model,
        "w_matrix": {"listing": row.listing_id, "version": row.version, "digest": row.file_digest},
        "mode": exchanged.quality.mode.value,
        "source_tokens_kept": kept,
        "corrected": exchanged.corrected,
        "dropped": exchanged.dropped,
        "quality": quality_facts(exchanged.quality),
        "findings": list(exchanged.findings),
    }
