"""What is wanted of a version beside its pair: weights, suite, version requirement, price, tier, context length."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from latentmas.protocol.certification import Tier
from latentmas.protocol.versions import Version
from marketplace.listings.models import Listing, ListingVersion
from marketplace.listings.visibility import NOBODY, Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """None is "any". Weights are exact: figures of other weights say nothing of these.

    `suite` is a name or a digest, `version` one that must be compatible (specification 2.1), `price_max` in minor
    units, `context_tokens` of the target; with them a certificate counts by its tier at that length, and not at all
    beyond its scope. `simulated` takes a simulated version as the last resort.
    """

    floor: Tier | None = None
    context_tokens: int | None = None
    source_weights: str | None = None
    target_weights: str | None = None
    suite: str | None = None
    version: Version | None = None
    price_max: int | None = None
    simulated: bool = False
    viewer: Viewer = NOBODY  # who will use it
    payer: Viewer | None = None  # who must not meet a price; None: the price does not matter

    def among(self, offers: QuerySet[ListingVersion]) -> QuerySet[ListingVersion]:
        """Return the offers of these weights, suite, version and price, in their order."""
        for name in ("source_weights", "target_weights"):
            if (digest := getattr(self, name)) is not None:
                offers = offers.filter(**{name: digest})
        if self.suite is not None:
            offers = offers.filter(Q(quality__suite__name=self.suite) | Q(quality__suite__digest=self.suite))
        if self.price_max is not None:
            affordable = Listing.objects.filter(price_amount__lte=self.price_max)
            offers = offers.filter(listing_id__in=affordable.values("id"))
        if (least := self.version) is not None:  # as `latentmas.protocol.versions.is_compatible` has it
            not_older = Q(minor__gt=least.minor) | Q(minor=least.minor, patch__gte=least.patch)
            offers = offers.filter(not_older, major=least.major)
        return offers

    @property
    def narrows(self) -> str:
        """What is asked of a version beside its certificate, in words; empty where nothing is."""
        asked = {
            "the source weights": self.source_weights,
            "the target weights": self.target_weights,
            "the suite": self.suite,
            "a version compatible with": self.version,
            "a price of at most": self.price_max,
        }
        return ", ".join(f"{what} {value}" for what, value in asked.items() if value is not None)
