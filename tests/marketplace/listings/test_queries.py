from datetime import timedelta

import pytest

from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import NotFound
from latentmas.protocol.quality import Basis
from latentmas.rest.cursors import page_of
from marketplace.listings import queries
from marketplace.listings.lifecycle.commands import yank_version
from marketplace.listings.models import ORDER, Listing
from marketplace.listings.queries import Filters
from tests.marketplace import sample

pytestmark = pytest.mark.django_db


def ids(filters, at=sample.AT):
    return [row.id for row in queries.browse(filters, at=at)]


def test_the_catalogue_shows_measured_figures_first(shelf):
    assert ids(Filters()) == [shelf[name] for name in ("functional", "activation", "declared", "simulated")]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(source_model="gpt-4"), ["declared", "simulated"]),
        (Filters(target_model="gpt-4"), ["activation"]),
        (Filters(family="google gemma"), ["functional"]),
        (Filters(family="OpenAI GPT"), ["activation", "declared", "simulated"]),
        (Filters(basis=Basis.ACTIVATION), ["activation"]),
        (Filters(tier=Tier.BRONZE), ["functional"]),
        (Filters(tier=Tier.GOLD), []),
        (Filters(method="learned", price_max=0), ["functional", "activation", "declared", "simulated"]),
        (Filters(method="hybrid"), []),
        (Filters(include_simulated=False), ["functional", "activation", "declared"]),
    ],
)
def test_filters_narrow_the_catalogue(shelf, filters, expected):
    assert ids(filters) == [shelf[name] for name in expected]


def test_a_price_above_the_limit_is_filtered_out(registry):
    from latentmas.protocol.money import Money

    sample.make_listing(price=Money(500, "USD"))
    assert ids(Filters(price_max=499)) == []
    assert len(ids(Filters(price_max=500))) == 1


def test_an_expired_certificate_has_no_tier(shelf):
    assert ids(Filters(tier=Tier.BRONZE), at=sample.AT + timedelta(days=366)) == []


def test_a_listing_without_a_version_is_not_on_offer(registry):
    identifier = sample.make_listing()
    yank_version(identifier, version="1.0.0", reason="Broken.", by=sample.CURATOR)
    assert ids(Filters()) == []
    assert queries.get_listing(identifier).version is None


def test_pages_follow_each_other_without_gaps_or_repeats(registry):
    sample.make_many(7)
    seen, cursor = [], None
    while True:
        page = page_of(queries.browse(Filters(), at=sample.AT), order=ORDER, limit=3, cursor=cursor)
        seen += [row.id for row in page.rows]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ids(Filters())
    assert len(set(seen)) == 7


def test_a_file_is_found_by_its_digest_with_the_unyanked_first(registry):
    one = sample.make_listing(quality=sample.functional())
    two = sample.make_listing(
        quality=sample.functional(), listing_id="00000000-0000-4000-8000-000000000001", seller="agent:other"
    )
    digest = Listing.objects.get(id=one).file_digest
    yank_version(two, version="1.0.0", reason="A copy.", by=sample.CURATOR)
    assert [row.listing_id for row in queries.versions_with_file(digest)] == [one, two]


def test_it_names_the_models_and_families_on_offer(shelf):
    assert queries.models_on_offer() == (
        ["gpt-4", "qwen-7b", sample.SOURCE],
        [sample.TARGET, "gpt-4", "llama-3-8b", "qwen-7b"],
    )
    assert "Google Gemma" in queries.families_on_offer()


def test_an_unknown_listing_or_version_is_not_found(registry):
    with pytest.raises(NotFound):
        queries.get_listing("nothing")
    with pytest.raises(NotFound):
        queries.get_version("nothing", version="1.0.0")
