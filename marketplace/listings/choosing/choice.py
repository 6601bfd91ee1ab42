"""Choose the W-Matrix for a pair of models: the named version or the best one, for KV-caches and for vectors."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from kvcache.exchange.policy import GENERATE
from latentmas.protocol.certification import RANK, Tier
from latentmas.protocol.errors import InvalidInput, QualityBelowThreshold, WMatrixNotFound
from latentmas.protocol.quality import MEASURED, Basis
from latentmas.protocol.versions import parse_version
from latentmas.protocol.w_matrix import Space
from marketplace.listings.certificates.standing import scope_of_row
from marketplace.listings.choosing.ranking import ranked, suites_of, tier_for_context
from marketplace.listings.choosing.wanted import Wanted
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.models import ListingVersion
from marketplace.listings.paying import first_paid
from marketplace.listings.queries import get_listing, obtainable_version, offered_version
from marketplace.listings.visibility import NOBODY, Viewer, obtainable

BROWSE = "GET /api/w-matrices"
BEST = f"{BROWSE}/best"
COMPATIBLE = f"{BROWSE}/compatible"
ANY = Wanted()
ORDER = ("basis_rank", "epsilon", "-major", "-minor", "-patch", "listing_id")  # measured first
# What a choice is made by; whole rows, with every figure of a suite, take many times as long to read.
COLUMNS = ("id", "listing_id", "basis", "tier", "scope", "certified_until", "source_weights", "version", "major")


def best(
    *,
    source_model: str,
    target_model: str,
    at: datetime,
    space: Space = Space.KV_CACHE,
    wanted: Wanted = ANY,
) -> ListingVersion:
    """Return the version with a valid certificate that ranks first among those that are wanted.

    Raises WMatrixNotFound, whose resolution is the next call to make, InvalidInput where both are the same model, and
    PaymentRequired where somebody is to pay.
    """
    _require_two(source_model, target_model)
    every = _offers(source_model, target_model, space, wanted.viewer)
    offers = list(wanted.among(every).only(*COLUMNS))
    simulated = [offer for offer in offers if offer.basis == Basis.SIMULATED]
    last_resort = simulated if wanted.simulated and wanted.floor is None else []
    certified = _certified(offers, at=at, floor=wanted.floor or Tier.BRONZE, tokens=wanted.context_tokens)
    if found := ranked(certified, suites_of(certified), tokens=wanted.context_tokens) + last_resort:
        return _whole(first_paid(found, wanted.payer))
    if not offers and wanted.narrows and every.exists():
        raise WMatrixNotFound(
            f"no W-Matrix from {source_model} to {target_model} has {wanted.narrows}",
            resolution=f"{BROWSE}?source_model={source_model}&target_model={target_model} names those of the pair. "
            "Otherwise let the target model read the text itself.",
            source_model=source_model,
            target_model=target_model,
        )
    raise _not_found(
        offers,
        source_model,
        target_model,
        min_certification=wanted.floor,
        at=at,
        space=space,
        tokens=wanted.context_tokens,
    )


def reachable(
    source_model: str, *, at: datetime, space: Space = Space.KV_CACHE, wanted: Wanted = ANY
) -> list[ListingVersion]:
    """Return for each model that `source_model` can be mapped to the first version that is wanted.

    Measured ones come first, then the lowest epsilon; two queries.
    """
    offers = obtainable(ListingVersion.objects.filter(source_model=source_model, space=space), wanted.viewer)
    if wanted.floor is not None:
        tiers = [tier.value for tier, rank in RANK.items() if rank >= RANK[wanted.floor]]
        offers = offers.filter(tier__in=tiers, certified_until__gt=at)
    first: dict[str, str] = {}
    for key, target in wanted.among(offers).order_by(*ORDER).values_list("id", "target_model"):
        first.setdefault(target, key)
    rows = ListingVersion.objects.in_bulk(first.values())
    return [rows[key] for key in first.values()]


def certified_from(source_model: str, *, at: datetime) -> QuerySet[ListingVersion]:
    """Return the versions between KV-caches that map from a model, whose certificates are valid, for everybody."""
    offers = obtainable(ListingVersion.objects.filter(source_model=source_model, space=Space.KV_CACHE), NOBODY)
    return offers.filter(tier__isnull=False, certified_until__gt=at)


def named_for_cache(
    listing_id: str | None,
    version: str | None,
    *,
    source_model: str,
    target_model: str,
    viewer: Viewer = NOBODY,
    payer: Viewer | None = None,
) -> ListingVersion | None:
    """Return the version between KV-caches that a request names, wholly or in part; None where it names none.

    A version named without a listing is taken from the pair's best listing that has it and asks the payer for nothing.
    Raises WMatrixNotFound for a listing of another pair, what `obtainable_version` does, PaymentRequired, or
    InvalidInput for a malformed version.
    """
    if version is not None:
        parse_version(version)
    if listing_id is None:
        return None if version is None else _of_pair(version, source_model, target_model, payer=payer)
    wanted = version or get_listing(listing_id, viewer).version
    if wanted is None:
        raise WMatrixNotFound(
            f"listing {listing_id} has no version on offer",
            resolution=f"{BROWSE}?source_model={source_model}&target_model={target_model} names those of the pair.",
        )
    row = obtainable_version(listing_id, wanted, viewer)
    if (row.source_model, row.target_model, row.space) != (source_model, target_model, Space.KV_CACHE):
        raise WMatrixNotFound(
            f"listing {listing_id} maps {row.space} from {row.source_model} to {row.target_model}, not the KV-cache of "
            f"{source_model} to that of {target_model}",
            resolution=f"{BROWSE}?source_model={source_model}&target_model={target_model} names those of the pair.",
            expected=[source_model, target_model],
            came=[row.source_model, row.target_model],
        )
    return row


def best_for_cache(
    *,
    source_model: str,
    target_model: str,
    weights: str | None,
    at: datetime,
    require_certificate: bool,
    context_tokens: int | None = None,
    payer: Viewer | None = None,
) -> ListingVersion:
    """Return the best certified version between KV-caches, preferably one made from exactly these source `weights`.

    Those whose scope covers a context of `context_tokens` come before the other certified ones; where no certificate is
    asked for, a measured version without one will do. A `payer` gets the best one that it may use. Raises
    WMatrixNotFound with the next call, PaymentRequired where all have a price that the payer has not paid, and
    InvalidInput where both are the same model.
    """
    _require_two(source_model, target_model)
    offers = list(_offers(source_model, target_model, Space.KV_CACHE).only(*COLUMNS))
    suites = suites_of(offers)
    measured = [] if require_certificate else [offer for offer in offers if Basis(offer.basis) in MEASURED]
    groups = (_certified(offers, at=at, tokens=context_tokens), _certified(offers, at=at), measured)
    found = [offer for group in groups for offer in ranked(group, suites, tokens=context_tokens)]
    if found:
        exact = [offer for offer in found if weights is None or offer.source_weights in (None, weights)]
        return _whole(first_paid([*exact, *found], payer))
    error = _not_found(offers, source_model, target_model, at=at, space=Space.KV_CACHE)
    raise _with_generate(error)


def for_vectors(
    *,
    source_model: str,
    target_model: str,
    version: str | None,
    at: datetime,
    require_certificate: bool,
    payer: Viewer | None = None,
) -> ListingVersion:
    """Return the pair's best version between embeddings with a valid certificate, or the one that is named.

    A `payer` gets one that it may use, and else PaymentRequired.

    Where no certificate is asked for, a measured version without one will do; a simulated one never does. Raises
    WMatrixNotFound with the next call, QualityBelowThreshold for a named version without a certificate, and
    InvalidInput for the same model twice or for a malformed version.
    """
    measured = _measured(_offers(source_model, target_model, Space.EMBEDDING))
    if version is None:
        try:
            wanted = Wanted(payer=payer)
            return best(
                source_model=source_model, target_model=target_model, at=at, space=Space.EMBEDDING, wanted=wanted
            )
        except WMatrixNotFound:
            if not require_certificate and (rows := list(measured)):
                return first_paid(rows, payer)
            raise
    rows = list(measured.filter(version=str(parse_version(version))))
    if not rows:
        known = sorted({each.version for each in measured})
        raise WMatrixNotFound(
            f"no W-Matrix for the vectors of {source_model} and {target_model} has the version {version}; on offer "
            f"are {', '.join(known) or 'none'}",
            resolution=f"Leave w_matrix_version out, or ask {COMPATIBLE}?source_model={source_model}&space=embedding.",
            expected=version,
            came=known,
        )
    row = first_paid(rows, payer)
    if require_certificate and row.tier_at(at) is None:
        raise QualityBelowThreshold(
            f"version {version} has no valid certificate",
            resolution=f"GET /api/w-matrices/{row.listing_id}/versions/{version}/certificate says why. Leave "
            "w_matrix_version out, or send require_certificate false to use it all the same.",
        )
    return row


def _whole(row: ListingVersion) -> ListingVersion:
    """Return a row that was read in part with everything of it."""
    return ListingVersion.objects.get(id=row.id)


def _require_two(source_model: str, target_model: str) -> None:
    if source_model == target_model:
        raise InvalidInput(
            f"source and target are the same model, {source_model!r}",
            resolution="Hand its memory over as it is: the same model needs no W-Matrix.",
            field="target_model",
        )


def _certified(
    offers: Sequence[ListingVersion], *, at: datetime, floor: Tier = Tier.BRONZE, tokens: int | None = None
) -> list[ListingVersion]:
    """Return the offers with a valid certificate of at least a tier, for contexts of so many tokens where given.

    A certificate without a scope says nothing about lengths: it counts only where no other one states a scope.
    """
    valid = [(offer, tier) for offer in offers if (tier := offer.tier_at(at))]
    stated = tokens is not None and any(offer.scope is not None for offer, _ in valid)
    found = [
        (offer, tier_for_context(offer, tier, tokens=tokens))
        for offer, tier in valid
        if offer.scope is not None or not stated
    ]
    return [offer for offer, tier in found if tier is not None and RANK[Tier(tier)] >= RANK[floor]]


def _offers(source_model: str, target_model: str, space: Space, viewer: Viewer = NOBODY) -> QuerySet[ListingVersion]:
    """Return what a viewer may use between two models: measured first, then the lowest epsilon, then the newest."""
    return obtainable(
        ListingVersion.objects.filter(source_model=source_model, target_model=target_model, space=space), viewer
    ).order_by(*ORDER)


def _measured(offers: QuerySet[ListingVersion]) -> QuerySet[ListingVersion]:
    return offers.filter(basis__in=[basis.value for basis in MEASURED])


def _of_pair(version: str, source_model: str, target_model: str, *, payer: Viewer | None) -> ListingVersion:
    offers = _offers(source_model, target_model, Space.KV_CACHE)
    if found := list(offers.filter(version=version)):
        return first_paid(found, payer)
    ever = ListingVersion.objects.filter(
        source_model=source_model, target_model=target_model, space=Space.KV_CACHE, version=version
    )
    withdrawn = ever.filter(access=Access.PUBLIC, yanked_at__isnull=False).first()
    if withdrawn is not None:
        return offered_version(withdrawn.listing_id, version)  # raises: it is yanked
    known = sorted({each.version for each in offers})
    there = f"on offer are {', '.join(known)}" if known else "none is on offer"
    raise WMatrixNotFound(
        f"no W-Matrix from {source_model} to {target_model} has the version {version}; {there}",
        resolution=f"{BROWSE}?source_model={source_model}&target_model={target_model} names those of the pair; "
        f"without w_matrix_version the best certified one is taken. Make one: {GENERATE}. Otherwise let "
        f"{target_model} read the text itself.",
        expected=version,
        came=known,
    )


def _not_found(
    offers: Sequence[ListingVersion],
    source_model: str,
    target_model: str,
    *,
    at: datetime,
    space: Space,
    min_certification: Tier | None = None,
    tokens: int | None = None,
) -> WMatrixNotFound:
    within = "" if space is Space.KV_CACHE else f"&space={space.value}"
    pair = f"source_model={source_model}&target_model={target_model}{within}"
    valid = [(offer, tier) for offer in offers if (tier := offer.tier_at(at))]
    uncertified = [offer for offer in offers if Basis(offer.basis) in MEASURED and not offer.tier_at(at)]
    simulated = [offer for offer in offers if offer.basis == Basis.SIMULATED]
    longest = max((scope.longest for offer, _ in valid if (scope := scope_of_row(offer))), default=None)
    if tokens is not None and longest is not None and longest < tokens:
        advice = (
            f"The longest contexts that a certificate for this pair covers have {longest} tokens: {BEST}?{pair}"
            f"&context_tokens={longest}. For longer ones let the target model read the text itself."
        )
    elif valid and min_certification:
        there = [found for offer, tier in valid if (found := tier_for_context(offer, tier, tokens=tokens))]
        top = max(there, key=lambda tier: RANK[Tier(tier)])
        same = "" if tokens is None else f"&context_tokens={tokens}"
        advice = f"The best certificate for this pair is {top}: {BEST}?{pair}&min_certification={top}{same}."
    elif uncertified:
        advice = (
            f"{len(uncertified)} measured version(s) carry no valid certificate; read why before use: {BROWSE}?{pair}. "
            "Otherwise let the target model read the text itself."
        )
    elif simulated:
        advice = (
            f"Only simulated figures exist: {BEST}?{pair}&include_simulated=true returns them for trials. "
            "For real use let the target model read the text itself."
        )
    else:
        advice = (
            f"Ask what {source_model} can be mapped to: {COMPATIBLE}?source_model={source_model}{within}. "
            "Otherwise let the target model read the text itself."
        )
    what = "" if space is Space.KV_CACHE else f" of {space.value}s"
    wanted = f"certified {min_certification.value} or better" if min_certification else "with a valid certificate"
    length = "" if tokens is None else f" for contexts of {tokens} tokens"
    return WMatrixNotFound(
        f"no W-Matrix{what} from {source_model} to {target_model} {wanted}{length}",
        resolution=advice,
        source_model=source_model,
        target_model=target_model,
        measured_without_certificate=len(uncertified),
        simulated=len(simulated),
    )


def _with_generate(error: WMatrixNotFound) -> WMatrixNotFound:
    facts = dict(error.facts) | {"decision": "unsupported"}
    return WMatrixNotFound(error.message, resolution=f"{error.advice} Make one: {GENERATE}.", **facts)
