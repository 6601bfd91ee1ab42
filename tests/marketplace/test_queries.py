from datetime import timedelta

import pytest
from django.utils import timezone

from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import InvalidInput, NotFound, WMatrixNotFound
from latentmas.protocol.quality import Basis
from latentmas.rest.cursors import page_of
from marketplace.listings import queries
from marketplace.listings.choice import best
from marketplace.listings.commands import certify_version, publish_version, yank_version
from marketplace.listings.models import Listing
from marketplace.listings.queries import Filters
from marketplace.listings.statistics import statistics
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
PAIR = {"source_model": sample.SOURCE, "target_model": sample.TARGET}


def ids(filters, at=sample.AT):
    return [row.id for row in queries.browse(filters, at=at)]


@pytest.fixture
def shelf(registry):
    """Four listings of different pairs, one of each basis."""
    return {
        "simulated": sample.make_listing("gpt-4", "llama-3-8b", quality=sample.unmeasured(epsilon=0.0)),
        "declared": sample.make_listing("gpt-4", "qwen-7b", quality=sample.unmeasured(Basis.DECLARED)),
        "activation": sample.make_listing("qwen-7b", "gpt-4", quality=sample.unmeasured(Basis.ACTIVATION)),
        "functional": sample.make_listing(quality=sample.functional(0.8)),
    }


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
    from marketplace.listings.events import Money

    sample.make_listing(price=Money(500, "USD"))
    assert ids(Filters(price_max=499)) == []
    assert len(ids(Filters(price_max=500))) == 1


def test_an_expired_certificate_has_no_tier(shelf):
    assert ids(Filters(tier=Tier.BRONZE), at=sample.AT + timedelta(days=366)) == []


def test_a_listing_without_a_version_is_not_on_offer(registry):
    identifier = sample.make_listing()
    yank_version(identifier, version="1.0.0", reason="Broken.", metadata=sample.METADATA)
    assert ids(Filters()) == []
    assert queries.get_listing(identifier).version is None


def test_pages_follow_each_other_without_gaps_or_repeats(registry):
    sample.make_many(7)
    seen, cursor = [], None
    while True:
        page = page_of(queries.browse(Filters(), at=sample.AT), order=queries.ORDER, limit=3, cursor=cursor)
        seen += [row.id for row in page.rows]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ids(Filters())
    assert len(set(seen)) == 7


def test_best_is_the_certified_version_with_the_lowest_epsilon(registry):
    sample.make_listing(quality=sample.functional(0.8))
    better = sample.make_listing(
        quality=sample.functional(0.92), listing_id="00000000-0000-4000-8000-000000000001", seller="agent:other"
    )
    assert best(**PAIR, at=sample.AT).listing_id == better


def test_best_prefers_an_older_version_that_is_better(registry):
    identifier = sample.make_listing(quality=sample.functional(0.95))
    worse = sample.published("1.1.0", quality=sample.functional(0.8))
    publish_version(identifier, published=worse, metadata=sample.METADATA)
    certify_version(identifier, version="1.1.0", at=sample.AT, metadata=sample.METADATA)
    assert best(**PAIR, at=sample.AT).version == "1.0.0"


def test_best_never_returns_simulated_figures_unless_asked(registry):
    sample.make_listing(quality=sample.unmeasured(epsilon=0.0))
    with pytest.raises(WMatrixNotFound) as refusal:
        best(**PAIR, at=sample.AT)
    assert "include_simulated=true" in refusal.value.advice
    assert best(**PAIR, at=sample.AT, include_simulated=True).basis == "simulated"
    with pytest.raises(WMatrixNotFound):
        best(**PAIR, at=sample.AT, include_simulated=True, min_certification=Tier.BRONZE)


def test_best_prefers_a_certified_version_to_a_simulated_one(registry):
    sample.make_listing(quality=sample.functional(0.7))
    sample.make_listing(
        quality=sample.unmeasured(epsilon=0.0), listing_id="00000000-0000-4000-8000-000000000001", seller="agent:other"
    )
    assert best(**PAIR, at=sample.AT, include_simulated=True).basis == "functional"


def test_best_refuses_what_failed_its_controls(registry):
    sample.make_listing(quality=sample.functional(0.4, eighth=0.5))
    with pytest.raises(WMatrixNotFound) as refusal:
        best(**PAIR, at=sample.AT)
    assert refusal.value.facts["measured_without_certificate"] == 1
    assert f"GET /api/w-matrices?source_model={sample.SOURCE}" in refusal.value.advice


def test_best_counts_an_expired_certificate_as_none(registry):
    sample.make_listing()
    with pytest.raises(WMatrixNotFound):
        best(**PAIR, at=sample.AT + timedelta(days=365, seconds=1))


def test_best_names_the_best_tier_there_is(registry):
    sample.make_listing(quality=sample.functional(0.92))
    assert best(**PAIR, at=sample.AT, min_certification=Tier.SILVER).tier == "silver"
    with pytest.raises(WMatrixNotFound) as refusal:
        best(**PAIR, at=sample.AT, min_certification=Tier.GOLD)
    assert "min_certification=silver" in refusal.value.advice


def test_best_refuses_one_model_on_both_sides():
    with pytest.raises(InvalidInput, match="same model"):
        best(source_model="gpt-4", target_model="gpt-4", at=sample.AT)


def test_best_skips_a_yanked_version(registry):
    identifier = sample.make_listing()
    yank_version(identifier, version="1.0.0", reason="Broken.", metadata=sample.METADATA)
    with pytest.raises(WMatrixNotFound) as refusal:
        best(**PAIR, at=sample.AT)
    assert "/compatible" in refusal.value.advice


def test_statistics_keep_the_bases_apart(shelf):
    totals = statistics(at=sample.AT)
    assert totals.listings == totals.versions == 4
    assert totals.by_tier == {"platinum": 0, "gold": 0, "silver": 0, "bronze": 1}
    assert totals.by_basis == {"functional": 1, "activation": 1, "declared": 1, "simulated": 1}
    assert totals.by_family["OpenAI GPT"] == 3
    assert totals.epsilon["functional"].mean == pytest.approx(0.2)
    assert totals.epsilon["simulated"].mean == 0.0


def test_statistics_ignore_expired_certificates(shelf):
    assert sum(statistics(at=timezone.now() + timedelta(days=2000)).by_tier.values()) == 0


def test_statistics_of_an_empty_catalogue_are_zero(registry):
    assert statistics(at=sample.AT).bytes == statistics(at=sample.AT).listings == 0


def test_a_file_is_found_by_its_digest_with_the_unyanked_first(registry):
    one = sample.make_listing(quality=sample.functional())
    two = sample.make_listing(
        quality=sample.functional(), listing_id="00000000-0000-4000-8000-000000000001", seller="agent:other"
    )
    digest = Listing.objects.get(id=one).file_digest
    yank_version(two, version="1.0.0", reason="A copy.", metadata=sample.METADATA)
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
