import pytest

from latentmas.events.rebuilding import check, chosen
from marketplace.listings.commands import certify_version
from marketplace.listings.events.lifecycle import Access, Role
from marketplace.listings.lifecycle import commands as lifecycle
from marketplace.listings.lifecycle.commands import By, yank_version
from marketplace.listings.models import Listing, ListingVersion
from tests.marketplace import sample

PROJECTOR = "marketplace.listings.projectors.project_listings"


def fill():
    identifier = sample.make_listing(price=sample.listing_created().price, tags=("one", "two"))
    sample.publish(identifier, "1.1.0")
    yank_version(identifier, version="1.0.0", reason="Old.", by=sample.CURATOR)
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


@pytest.mark.django_db(transaction=True)
def test_the_log_gives_the_same_rows_of_a_listings_life_even_after_its_texts_were_erased(registry):
    fill()
    listing = Listing.objects.filter(seller="agent:test").order_by("id").first().id
    owner = By("agent:test", sample.METADATA)
    lifecycle.add_collaborator(listing, who="agent:b", role=Role.PUBLISHER, by=owner)
    lifecycle.change_access(listing, access=Access.GATED, by=owner)
    lifecycle.request_access(listing, message="Please.", by=By("agent:c", sample.METADATA))
    lifecycle.request_access(listing, message="Me too.", by=By("agent:d", sample.METADATA))
    lifecycle.grant_access(listing, who="agent:c", by=owner)
    lifecycle.quarantine_listing(listing, reason="Under review.", by=sample.CURATOR)
    lifecycle.release_listing(listing, reason="Fine.", by=sample.CURATOR)
    lifecycle.offer_transfer(listing, to="agent:c", by=owner)
    lifecycle.decline_transfer(listing, by=By("agent:c", sample.METADATA))
    lifecycle.offer_transfer(listing, to="agent:d", by=owner)
    lifecycle.offer_transfer(listing, to="agent:b", by=owner)
    lifecycle.accept_transfer(listing, by=By("agent:b", sample.METADATA))
    names = [PROJECTOR, "marketplace.listings.member_projector.project_members"]
    assert check(chosen(names)) == []
    lifecycle.erase_texts(listing, metadata=sample.METADATA)
    assert check(chosen(names)) == []
