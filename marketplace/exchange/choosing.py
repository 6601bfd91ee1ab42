"""Which W-Matrix maps a memory: the one that is named, or the best certified one of exactly its weights."""

from datetime import datetime

from django.db.models import QuerySet

from kvcache.exchange.decision import GENERATE
from latentmas.protocol.errors import WMatrixNotFound
from latentmas.protocol.quality import MEASURED
from latentmas.protocol.versions import parse_version
from latentmas.protocol.w_matrix import Space
from marketplace.listings.api import offered_version
from marketplace.listings.best import best
from marketplace.listings.models import ListingVersion
from marketplace.listings.queries import get_listing

BROWSE = "GET /api/w-matrices"


def named(
    listing_id: str | None, version: str | None, *, source_model: str, target_model: str
) -> ListingVersion | None:
    """Return the version that a request names, wholly or in part; None where it names none.

    A version without a listing is that of the pair's best listing that has it. Raises WMatrixNotFound for one of
    another pair, NotFound, VersionYankedError, or InvalidInput for what is no version.
    """
    if version is not None:
        parse_version(version)
    if listing_id is None:
        return None if version is None else _of_pair(version, source_model, target_model)
    wanted = version or get_listing(listing_id).version
    if wanted is None:
        raise WMatrixNotFound(
            f"listing {listing_id} has no version on offer",
            resolution=f"{BROWSE}?source_model={source_model}&target_model={target_model} names those of the pair.",
        )
    row = offered_version(listing_id, wanted)
    if (row.source_model, row.target_model, row.space) != (source_model, target_model, Space.KV_CACHE):
        raise WMatrixNotFound(
            f"listing {listing_id} maps {row.space} from {row.source_model} to {row.target_model}, not the KV-cache of "
            f"{source_model} to that of {target_model}",
            resolution=f"{BROWSE}?source_model={source_model}&target_model={target_model} names those of the pair.",
            expected=[source_model, target_model],
            came=[row.source_model, row.target_model],
        )
    return row


def chosen(
    *, source_model: str, target_model: str, weights: str | None, at: datetime, require_certificate: bool
) -> ListingVersion:
    """Return the best certified version for a memory, of its very weights where there is one.

    Where no certificate is asked for, a measured version without one will do. Raises WMatrixNotFound with the next
    call, and InvalidInput where both are the same model.
    """
    offers = _offers(source_model, target_model)
    try:
        row = best(source_model=source_model, target_model=target_model, at=at)
    except WMatrixNotFound as error:
        measured = offers.filter(basis__in=[basis.value for basis in MEASURED])
        found = _of_weights(measured, weights) or measured.first()
        if require_certificate or found is None:
            raise _with_generate(error) from error
        return found
    if weights is None or row.source_weights in (None, weights):
        return row
    return _of_weights(offers.filter(certified_until__gt=at), weights) or row


def _offers(source_model: str, target_model: str) -> QuerySet[ListingVersion]:
    return ListingVersion.objects.filter(
        source_model=source_model, target_model=target_model, space=Space.KV_CACHE, yanked_at__isnull=True
    ).order_by("basis_rank", "epsilon", "-major", "-minor", "-patch", "listing_id")


def _of_weights(rows: QuerySet[ListingVersion], weights: str | None) -> ListingVersion | None:
    return None if weights is None else rows.filter(source_weights=weights).first()


def _of_pair(version: str, source_model: str, target_model: str) -> ListingVersion:
    row = _offers(source_model, target_model).filter(version=version).first()
    if row is not None:
        return row
    withdrawn = ListingVersion.objects.filter(
        source_model=source_model, target_model=target_model, space=Space.KV_CACHE, version=version
    ).first()
    if withdrawn is not None:
        return offered_version(withdrawn.listing_id, version)  # raises: it is yanked
    known = sorted({each.version for each in _offers(source_model, target_model)})
    there = f"on offer are {', '.join(known)}" if known else "none is on offer"
    raise WMatrixNotFound(
        f"no W-Matrix from {source_model} to {target_model} has the version {version}; {there}",
        resolution=f"{BROWSE}?source_model={source_model}&target_model={target_model} names those of the pair; "
        f"without w_matrix_version the best certified one is taken. Make one: {GENERATE}. Otherwise let "
        f"{target_model} read the text itself.",
        expected=version,
        came=known,
    )


def _with_generate(error: WMatrixNotFound) -> WMatrixNotFound:
    facts = dict(error.facts) | {"decision": "unsupported"}
    return WMatrixNotFound(error.message, resolution=f"{error.advice} Make one: {GENERATE}.", **facts)
