import pytest

from latentmas.events.rebuilding import check, chosen
from marketplace.listings.commands import certify_version, yank_version
from marketplace.listings.models import Listing, ListingVersion
from tests.marketplace import sample

PROJECTOR = "marketplace.listings.projectors.project_listings"


def fill():
    identifier = sample.make_listing(price=sample.listing_created().price, tags=("one", "two"))
    sample.publish(identifier, "1.1.0")
    yank_version(identifier, version="1.0.0", reason="Old.", metadata=sample.METADATA)
    certify_version(identifier, version="1.1.0", at=sample.AT, metadata=sample.METADATA)
    sample.make_listing("gpt-4", "llama-3-8b", quality=sample.unmeasured())
    sample.make_many(3)


@pytest.mark.django_db(transaction=True)
def test_the_log_gives_the_same_rows_as_the_live_projection(registry):
    fill()
    assert Listing.objects.count() == 5
    assert ListingVersion.objects.count() == 6
    assert check(chosen([PROJECTOR])) == []


@pytest.mark.django_db(transaction=True)
def test_a_row_changed_behind_the_log_is_found(registry):
    fill()
    ListingVersion.objects.filter(version="1.1.0").update(tier="platinum")
    (difference,) = check(chosen([PROJECTOR]))
    assert difference.table == ListingVersion._meta.db_table
