"""Which W-Matrix maps the vectors of one model into the space of another."""

from datetime import datetime

from latentmas.protocol.errors import QualityBelowThreshold, WMatrixNotFound
from latentmas.protocol.quality import MEASURED
from latentmas.protocol.versions import parse_version
from latentmas.protocol.w_matrix import Space
from marketplace.listings.best import best
from marketplace.listings.models import ListingVersion

COMPATIBLE = "GET /api/w-matrices/compatible"


def chosen(
    *, source_model: str, target_model: str, version: str | None, at: datetime, require_certificate: bool
) -> ListingVersion:
    """Return the pair's best version with a valid certificate, or the one that is named.

    Where no certificate is asked for, a measured version without one will do; a simulated one never does. Raises
    WMatrixNotFound with the next call, QualityBelowThreshold for a named version without a certificate, and
    InvalidInput for the same model twice or for what is no version.
    """
    offers = ListingVersion.objects.filter(
        source_model=source_model, target_model=target_model, space=Space.EMBEDDING, yanked_at__isnull=True
    ).order_by("basis_rank", "epsilon", "-major", "-minor", "-patch", "listing_id")
    measured = offers.filter(basis__in=[basis.value for basis in MEASURED])
    if version is None:
        try:
            return best(source_model=source_model, target_model=target_model, at=at, space=Space.EMBEDDING)
        except WMatrixNotFound:
            if not require_certificate and (row := measured.first()):
                return row
            raise
    row = measured.filter(version=str(parse_version(version))).first()
    if row is None:
        known = sorted({each.version for each in measured})
        raise WMatrixNotFound(
            f"no W-Matrix for the vectors of {source_model} and {target_model} has the version {version}; on offer "
            f"are {', '.join(known) or 'none'}",
            resolution=f"Leave w_matrix_version out, or ask {COMPATIBLE}?source_model={source_model}&space=embedding.",
            expected=version,
            came=known,
        )
    if require_certificate and row.tier_at(at) is None:
        raise QualityBelowThreshold(
            f"version {version} has no valid certificate",
            resolution=f"GET /api/w-matrices/{row.listing_id}/versions/{version}/certificate says why. Leave "
            "w_matrix_version out, or send require_certificate false to use it all the same.",
        )
    return row
