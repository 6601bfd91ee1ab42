"""W-Matrices as goods: a listing's version at its seller's price. A purchase covers the version's major version."""

from django.utils import timezone

from latentmas.protocol.certification import Tier
from latentmas.protocol.money import Money, Split
from marketplace.listings.certificates.standing import validators_of
from marketplace.listings.queries import bought_version, version_for_sale
from marketplace.listings.visibility import NOBODY, Viewer
from marketplace.sales.goods import Delivery, Kind, Offer, Prepared


class WMatrices:
    """What the sales know of W-Matrices. The file is there already, so that nothing is prepared."""

    def offer(self, item: str, version: str | None, delivery: Delivery, *, buyer: str | None) -> Offer:
        """Return a version on offer to the buyer, by its number, an alias or as the newest; deliveries do not differ.

        Raises NotFound, AccessRequired, ListingIsQuarantined, ListingIsDelisted, VersionNotOffered or
        VersionYankedError.
        """
        del delivery
        viewer = NOBODY if buyer is None else Viewer(frozenset({buyer}))
        listing, row = version_for_sale(item, version, viewer)
        tier = row.tier_at(timezone.now())
        return Offer(
            kind=Kind.W_MATRIX,
            item=listing.id,
            version=row.version,
            digest=row.file_digest,
            seller=listing.seller,
            price=Money(listing.price_amount, listing.price_currency),
            split=Split(**listing.split),
            validators=tuple(validators_of(row)),
            tier=None if tier is None else Tier(tier),
            ready=True,
        )

    def prepare(self, offer: Offer, delivery: Delivery, *, sale: str) -> Prepared:
        """Return the version's file, yanked or not. Raises NotFound or ListingIsQuarantined."""
        del delivery, sale
        row = bought_version(offer.item, offer.version)
        return Prepared(digest=row.file_digest, size=row.file_size, name=row.file_name)
