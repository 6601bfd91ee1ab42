"""Choose the W-Matrix for a pair of models, or say what to do where none may be used."""

from collections.abc import Sequence
from datetime import datetime

from latentmas.protocol.certification import RANK, Tier
from latentmas.protocol.errors import InvalidInput, WMatrixNotFound
from latentmas.protocol.quality import MEASURED, Basis
from latentmas.protocol.w_matrix import Space
from marketplace.listings.models import ListingVersion

BEST = "GET /api/w-matrices/best"
BROWSE = "GET /api/w-matrices"


def best(
    *,
    source_model: str,
    target_model: str,
    at: datetime,
    min_certification: Tier | None = None,
    include_simulated: bool = False,
    space: Space = Space.KV_CACHE,
) -> ListingVersion:
    """Return the version with a valid certificate of at least `min_certification` and the lowest epsilon.

    Without `min_certification` any tier will do, and where simulated figures are asked for by name a simulated version
    is the last resort. Raises WMatrixNotFound, whose resolution is the next call to make, and InvalidInput where both
    are the same model.
    """
    if source_model == target_model:
        raise InvalidInput(
            f"source and target are the same model, {source_model!r}",
            resolution="Hand its memory over as it is: the same model needs no W-Matrix.",
            field="target_model",
        )
    offers = list(
        ListingVersion.objects.filter(
            source_model=source_model, target_model=target_model, space=space, yanked_at__isnull=True
        ).order_by("basis_rank", "epsilon", "-major", "-minor", "-patch", "listing_id")
    )
    floor = min_certification or Tier.BRONZE
    certified = [offer for offer in offers if (tier := offer.tier_at(at)) and RANK[Tier(tier)] >= RANK[floor]]
    simulated = [offer for offer in offers if offer.basis == Basis.SIMULATED]
    last_resort = simulated if include_simulated and min_certification is None else []
    for offer in certified + last_resort:
        return offer
    raise _not_found(offers, source_model, target_model, min_certification=min_certification, at=at, space=space)


def _not_found(
    offers: Sequence[ListingVersion],
    source_model: str,
    target_model: str,
    *,
    min_certification: Tier | None,
    at: datetime,
    space: Space,
) -> WMatrixNotFound:
    within = "" if space is Space.KV_CACHE else f"&space={space.value}"
    pair = f"source_model={source_model}&target_model={target_model}{within}"
    lower = [tier for offer in offers if (tier := offer.tier_at(at))]
    uncertified = [offer for offer in offers if Basis(offer.basis) in MEASURED and not offer.tier_at(at)]
    simulated = [offer for offer in offers if offer.basis == Basis.SIMULATED]
    if lower and min_certification:
        top = max(lower, key=lambda tier: RANK[Tier(tier)])
        advice = f"The best certificate for this pair is {top}: {BEST}?{pair}&min_certification={top}."
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
            f"Ask what {source_model} can be mapped to: {BROWSE}/compatible?source_model={source_model}{within}. "
            "Otherwise let the target model read the text itself."
        )
    what = "" if space is Space.KV_CACHE else f" of {space.value}s"
    wanted = f"certified {min_certification.value} or better" if min_certification else "with a valid certificate"
    return WMatrixNotFound(
        f"no W-Matrix{what} from {source_model} to {target_model} {wanted}",
        resolution=advice,
        source_model=source_model,
        target_model=target_model,
        measured_without_certificate=len(uncertified),
        simulated=len(simulated),
    )
