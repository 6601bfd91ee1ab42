"""Listings of KV-caches and of embeddings side by side."""

from dataclasses import replace

import pytest
from django.urls import reverse

from latentmas.events.types import decode, encode
from latentmas.protocol.errors import InvalidInput, WMatrixNotFound
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Space
from marketplace.listings.aggregate import listing_id_for
from marketplace.listings.choosing.choice import best, reachable
from marketplace.listings.events.listing import ListingCreated, VersionPublished
from marketplace.listings.models import Listing, ListingVersion
from marketplace.listings.queries import Filters, browse
from marketplace.listings.statistics import statistics
from marketplace.listings.validation import check_quality
from tests.marketplace.exchange.vector_sample import retrieving, vector_listing
from tests.marketplace.sample import AT, SOURCE, TARGET, functional, listing_created, make_listing, published

pytestmark = pytest.mark.django_db
PAIR = {"source_model": SOURCE, "target_model": TARGET}


@pytest.fixture
def both(registry) -> tuple[str, str]:
    return make_listing(), vector_listing()


def test_the_catalogue_shows_kv_caches_unless_asked(both):
    caches, vectors = both
    assert [row.id for row in browse(Filters(), at=AT)] == [caches]
    assert [row.id for row in browse(Filters(space=Space.EMBEDDING), at=AT)] == [vectors]
    assert {row.id for row in browse(Filters(space=None), at=AT)} == {caches, vectors}


def test_best_is_of_one_space(both):
    caches, vectors = both
    assert best(**PAIR, at=AT).listing_id == caches
    assert best(**PAIR, at=AT, space=Space.EMBEDDING).listing_id == vectors
    with pytest.raises(WMatrixNotFound, match="no W-Matrix of embeddings from gpt-4") as caught:
        best(source_model="gpt-4", target_model=TARGET, at=AT, space=Space.EMBEDDING)
    assert "&space=embedding" in caught.value.advice


def test_the_row_shows_the_interval_of_its_own_figure(both):
    caches, vectors = (Listing.objects.get(id=each) for each in both)
    assert (caches.retention, caches.top1) == (0.97, None)
    assert (vectors.retention, vectors.top1, vectors.top1_low) == (None, 0.6, pytest.approx(0.55))
    assert ListingVersion.objects.get(listing_id=vectors.id).space == "embedding"
    assert [row.listing_id for row in reachable(SOURCE, at=AT, space=Space.EMBEDDING)] == [vectors.id]


def test_statistics_count_both_and_average_neither_with_the_other(both):
    totals = statistics(at=AT)
    assert totals.by_space == {"kv-cache": 1, "embedding": 1, "realignment": 0}
    assert totals.listings == 2
    assert totals.epsilon["functional"].listings == 1
    assert totals.epsilon["functional"].mean == pytest.approx(0.03)


def test_the_api_filters_by_space_and_says_it(both, client):
    caches, vectors = both
    shown = client.get("/api/w-matrices").json()["results"]
    assert [(each["id"], each["space"], each["top1"]) for each in shown] == [(caches, "kv-cache", None)]
    shown = client.get("/api/w-matrices?space=embedding").json()["results"]
    assert [each["id"] for each in shown] == [vectors]
    assert shown[0]["top1"]["value"] == pytest.approx(0.6)
    assert len(client.get("/api/w-matrices?space=any").json()["results"]) == 2
    found = client.get("/api/w-matrices/best", PAIR | {"space": "embedding"}).json()
    assert (found["listing_id"], found["quality"]["retrieval"]["candidates"]) == (vectors, 200)
    assert client.get("/api/w-matrices?space=memory").status_code == 422


def test_the_pages_show_top_1(both, client):
    _, vectors = both
    assert "top-1 <b>0.600</b>" in client.get("/?space=embedding").content.decode()
    assert "top-1 retrieval" in client.get(reverse("listing", args=[vectors])).content.decode()


def test_ids_of_kv_caches_are_what_they_always_were():
    parts = {"source": "a", "target": "b", "seller": "c", "basis": Basis.FUNCTIONAL}
    assert listing_id_for(**parts) == listing_id_for(**parts, space=Space.KV_CACHE)
    assert listing_id_for(**parts) != listing_id_for(**parts, space=Space.EMBEDDING)


@pytest.mark.parametrize("kind", ["listing.created", "listing.version_published"])
def test_events_from_before_spaces_are_of_kv_caches(kind):
    old = encode(listing_created() if kind == "listing.created" else published())
    del old["space"]
    if kind == "listing.created":  # until the second schema the texts stood in the event
        old |= {name: old[name]["plain"] for name in ("title", "description")}
    if "quality" in old:
        del old["quality"]["retrieval"]
    upcast = decode(kind, 1, old)
    assert isinstance(upcast, ListingCreated | VersionPublished)
    assert upcast.space is Space.KV_CACHE


def test_a_version_is_of_its_listings_space(registry):
    with pytest.raises(InvalidInput, match="maps kv-cache vectors, its listing embedding ones"):
        vector_listing(space=Space.KV_CACHE)


def test_figures_that_contradict_each_other_are_refused():
    good = retrieving()
    check_quality(good)
    assert good.retrieval is not None
    wrong = [
        replace(good, retention=functional().retention),
        replace(good, retrieval=None),
        replace(good, basis=Basis.DECLARED),
        replace(good, epsilon=0.1),
        replace(good, retrieval=replace(good.retrieval, chance=0.5)),
        replace(good, retrieval=replace(good.retrieval, top5=good.retrieval.random_w_top1)),
    ]
    for quality in wrong:
        with pytest.raises(InvalidInput):
            check_quality(quality)
