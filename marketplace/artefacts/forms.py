"""One memory in the form that a buyer asks for: as it was published, decoded, or as another model's."""

from dataclasses import dataclass, field, replace

from django.utils import timezone

from kvcache.exchange.policy import Policy, quality_facts
from latentmas.protocol.cropping import crop
from latentmas.protocol.snapshot import write_snapshot
from marketplace.agents.models import Agent
from marketplace.artefacts.outputs import UNREAD
from marketplace.exchange.kv_cache import Handed, KVCacheAlignment, KVCacheOrder, align
from marketplace.exchange.kv_cache_inputs import from_file
from marketplace.listings.models import Listing
from marketplace.sales.goods import Delivery, Form, Helper

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class FormedMemory:
    """A memory's file for a buyer; `report` is what he should know of it."""

    data: bytes
    tokens: int
    helper: Helper | None = None
    w_matrix: tuple[str, str] | None = None  # listing and version that aligned it
    report: Json = field(default_factory=dict)


def formed(
    data: bytes,
    *,
    tokens: int,
    model: str,
    delivery: Delivery,
    end: int | None = None,
    by: tuple[str, str] | None = None,
) -> FormedMemory:
    """Return a published memory of so many tokens as a delivery asks for it, cropped to `end` tokens of its context.

    It is aligned by the W-Matrix version `by`, or else by the best certified one.

    Raises what `marketplace.exchange.kv_cache.align` does where its quality gate refuses, and InvalidInput for a crop
    that cannot be made.
    """
    if delivery.form is Form.COMPRESSED:
        return FormedMemory(data, tokens)
    handed = from_file(data, source_model=model)
    if end is not None:
        handed = replace(handed, snapshot=crop(handed.snapshot, end))
    if delivery.form is Form.RAW:
        return FormedMemory(write_snapshot(handed.snapshot), handed.snapshot.frame.tokens)
    return _aligned(handed, delivery, by)


def trust_in(tokens: int) -> Json:
    """Return which tokens of a delivery a consumer may trust: none, as a stranger's model has read them."""
    return {"trusted_tokens": 0, "untrusted_tokens": tokens, "notice": UNREAD}


def _aligned(handed: Handed, delivery: Delivery, by: tuple[str, str] | None) -> FormedMemory:
    assert delivery.target_model is not None  # the offer was checked
    order = KVCacheOrder(
        target_model=delivery.target_model,
        policy=Policy(minimum_retention=delivery.minimum_retention),
        target_weights=delivery.target_weights,
        paid=True,  # by the share of this sale that its owner earns
        listing=by and by[0],
        version=by and by[1],
    )
    # What text the memory is of is not known here, so its own tokens are kept.
    done = align(Handed(handed.snapshot, handed.source), order, at=timezone.now())
    snapshot = done.exchanged.snapshot
    return FormedMemory(
        write_snapshot(snapshot),
        snapshot.frame.tokens,
        helper=_helper(done),
        w_matrix=(done.w_matrix.listing_id, done.w_matrix.version),
        report=_report(done),
    )


def _helper(done: KVCacheAlignment) -> Helper | None:
    """Return whose W-Matrix was used; those that the factory lists itself earn nobody anything."""
    owner = Listing.objects.filter(id=done.w_matrix.listing_id).values_list("seller", flat=True).first()
    if owner is None or not Agent.objects.filter(id=owner).exists():
        return None
    return Helper(owner, done.w_matrix.listing_id, done.w_matrix.version)


def _report(done: KVCacheAlignment) -> Json:
    exchanged, row = done.exchanged, done.w_matrix
    return {
        "target_model": row.target_model,
        "w_matrix": {"listing": row.listing_id, "version": row.version, "digest": row.file_digest},
        "mode": exchanged.mode.value,
        "dropped": exchanged.dropped,
        "quality": quality_facts(exchanged.quality),
        "findings": list(exchanged.findings),
    }
