"""`best` compares the lower ends of the same cells, those at the request's length."""

from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import WMatrixNotFound
from latentmas.protocol.quality import SAMPLED, Interval, Quality
from marketplace.listings.choosing.choice import best, best_for_cache
from marketplace.listings.choosing.ranking import ranked, suites_of
from marketplace.listings.choosing.wanted import Wanted
from marketplace.listings.models import ListingVersion
from tests.marketplace import sample
from tests.marketplace.sample import cell, suite, with_suite

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registry")]
PAIR = {"source_model": sample.SOURCE, "target_model": sample.TARGET}
BEST = "/api/w-matrices/best"
WEIGHTS = "sha256:" + "a" * 64


def listed(number: int, quality: Quality, **more: Any) -> str:
    identifier = f"00000000-0000-4000-8000-{number:012d}"
    return sample.make_listing(quality=quality, listing_id=identifier, seller=f"agent:{number}", **more)


def of(*cells: Any) -> Quality:
    return with_suite(suite(*cells))


def chosen(tokens: int | None = None, **more: Any) -> str:
    return best(**PAIR, at=sample.AT, wanted=Wanted(context_tokens=tokens, **more)).listing_id


def for_cache(tokens: int, **more: Any) -> str:
    options = {"weights": WEIGHTS, "at": sample.AT, "require_certificate": True} | more
    return best_for_cache(**PAIR, context_tokens=tokens, **options).listing_id


def test_the_worst_lower_end_decides_and_not_the_mean():
    listed(1, of(cell("news", 256, 0.95), cell("code", 256, 0.7)))
    even = listed(2, of(cell("news", 256, 0.8), cell("code", 256, 0.75)))
    assert chosen(256) == even


def test_the_lower_end_decides_and_not_the_figure():
    listed(1, of(cell("news", 256, 0.9, aligned=Interval(0.9, 0.7, 0.95))))
    sure = listed(2, of(cell("news", 256, 0.85)))
    assert chosen(256) == sure


def test_between_equal_worst_cells_the_mean_of_the_lower_ends_decides():
    listed(1, of(cell("news", 256, 0.8), cell("code", 256, 0.7)))
    better = listed(2, of(cell("news", 256, 0.9), cell("code", 256, 0.7)))
    assert chosen(256) == better


def test_a_missing_cell_loses():
    listed(1, of(cell("news", 256, 0.95), cell("code", 256, None)))
    complete = listed(2, of(cell("news", 256, 0.8), cell("code", 256, 0.7)))
    assert chosen(256) == complete


def test_the_cells_at_the_requests_length_are_compared():
    short = listed(1, of(cell("news", 256, 0.95), cell("news", 1024, 0.7)))
    long = listed(2, of(cell("news", 256, 0.85), cell("news", 1024, 0.8)))
    assert (chosen(), chosen(200), chosen(257), chosen(1024)) == (short, short, long, long)


def test_sampled_text_is_not_compared():
    better = listed(1, of(cell("news", 256, 0.9)))
    listed(2, of(cell("news", 256, 0.8), cell(SAMPLED, 256, 0.99)))
    assert chosen(256) == better


def test_whoever_was_measured_on_no_suite_comes_last():
    listed(1, sample.functional(0.99))
    measured = listed(2, of(cell("news", 256, 0.7)))
    assert chosen() == chosen(256) == measured


def test_figures_of_two_suites_are_not_compared():
    """Another suite's texts may be easier: the suite with more registers comes first, whatever the figures are."""
    broad = listed(1, of(cell("news", 256, 0.7), cell("code", 256, 0.7)))
    narrow = with_suite(replace(suite(cell("news", 256, 0.95), name="suite/2"), digest="sha256:" + "2" * 64))
    easy = listed(2, narrow)
    lacking = listed(3, of(cell("news", 256, 0.6), cell("code", 256, None)))
    rows = ListingVersion.objects.order_by("id")
    assert [row.listing_id for row in ranked(rows, suites_of(rows), tokens=256)] == [broad, lacking, easy]
    assert chosen(256) == broad
    assert chosen(256, suite="suite/2") == chosen(256, suite="sha256:" + "2" * 64) == easy


def test_a_scope_shorter_than_the_request_does_not_count():
    listed(1, of(cell("news", 256, 0.95)))
    with pytest.raises(WMatrixNotFound, match="for contexts of 300 tokens") as refused:
        chosen(300)
    assert "context_tokens=256" in refused.value.advice
    longer = listed(2, of(cell("news", 1024, 0.7)))
    assert chosen(300) == longer


def test_a_certificate_that_states_no_lengths_does_not_stand_in_for_one_that_is_too_short():
    listed(1, sample.functional(0.99))
    assert chosen(300)
    listed(2, of(cell("news", 256, 0.95)))
    with pytest.raises(WMatrixNotFound):
        chosen(300)


def test_the_tier_that_counts_is_that_at_the_requests_length():
    listed(1, of(cell("news", 256, 0.98), cell("news", 1024, 0.7)))
    assert chosen(256, floor=Tier.GOLD)
    with pytest.raises(WMatrixNotFound) as refused:
        chosen(1024, floor=Tier.GOLD)
    assert "min_certification=bronze&context_tokens=1024" in refused.value.advice
    with pytest.raises(WMatrixNotFound):
        chosen(floor=Tier.GOLD)


def test_the_address_takes_the_length_and_the_receivers_weights(client):
    long = listed(1, of(cell("news", 256, 0.7), cell("news", 1024, 0.7)), at=timezone.now())
    short = listed(2, of(cell("news", 256, 0.9)), at=timezone.now())
    assert client.get(BEST, PAIR | {"context_tokens": 100}).json()["listing_id"] == short
    exact = {"context_tokens": 1024, "source_weights": WEIGHTS, "target_weights": "sha256:" + "b" * 64}
    assert client.get(BEST, PAIR | exact).json()["listing_id"] == long
    for side in ("source_weights", "target_weights"):
        other = client.get(BEST, PAIR | {side: "sha256:" + "d" * 64})
        assert (other.status_code, other.json()["code"]) == (404, "W_MATRIX_NOT_FOUND")
        assert "sha256:dddd" in other.json()["detail"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"context_tokens": 0}, "context_tokens"),
        ({"context_tokens": 256, "space": "embedding"}, "context_tokens"),
        ({"target_weights": "md5:1"}, "target_weights"),
    ],
)
def test_malformed_lengths_and_weights_name_the_field(client, query, field):
    response = client.get(BEST, PAIR | query)
    assert (response.status_code, response.json()["field"]) == (422, field)


def test_for_a_cache_what_covers_it_comes_before_what_does_not():
    short = listed(1, of(cell("news", 256, 0.95)))
    assert for_cache(300) == short  # which the hand-over refuses, with the reason
    long = listed(2, of(cell("news", 256, 0.7), cell("news", 1024, 0.7)))
    assert for_cache(300) == long
    assert for_cache(256) == short


def test_for_a_cache_the_weights_come_first():
    listed(1, of(cell("news", 256, 0.7)))
    assert for_cache(256, weights="sha256:" + "d" * 64)  # of other weights: the hand-over names both
    assert for_cache(256, weights=None)


def test_without_a_certificate_measured_versions_are_compared_on_their_cells():
    listed(1, of(cell("news", 256, 0.3)))
    better = listed(2, of(cell("news", 256, 0.4)))
    with pytest.raises(WMatrixNotFound):
        for_cache(256)
    assert for_cache(256, require_certificate=False) == better
