"""The catalogue's pages are kept for strangers until the log grows or a certificate on them runs out."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from latentmas import kept_answers
from marketplace.listings.lifecycle.commands import quarantine_listing
from marketplace.listings.models import Listing
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
LIST = "/api/w-matrices"


def queries_of(client, path=LIST, **headers):
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path, headers=headers)
    return len(queries), answer


def test_a_page_that_was_asked_for_before_costs_one_query_and_is_the_same(client, certified):
    made, first = queries_of(client)
    kept, second = queries_of(client)
    assert (made, kept) == (2, 1)
    assert second.content == first.content
    assert second["ETag"] == first["ETag"]
    assert client.get(LIST, headers={"If-None-Match": first["ETag"]}).status_code == 304


def test_an_event_ends_what_was_kept(client, certified):
    assert len(client.get(LIST).json()["results"]) == 1
    quarantine_listing(certified, reason="copied", by=sample.CURATOR)
    assert client.get(LIST).json()["results"] == []


def test_a_certificate_that_ran_out_is_not_shown_from_what_was_kept(client, certified, monkeypatch):
    ends = Listing.objects.get().certified_until
    before = ends - timedelta(seconds=5)
    monkeypatch.setattr(timezone, "now", lambda: before)
    assert client.get(LIST).json()["results"][0]["certification"] is not None
    monkeypatch.setattr(timezone, "now", lambda: ends)
    assert client.get(LIST).json()["results"][0]["certification"] is None


@pytest.mark.parametrize("other", [{"Accept": "application/json; indent=4"}, {"Host": "other.test"}])
def test_another_form_or_host_has_an_answer_of_its_own(client, certified, settings, other):
    settings.ALLOWED_HOSTS = ["*"]
    client.get(LIST)
    assert queries_of(client, **other)[0] == 2


def test_who_says_who_he_is_is_answered_anew(client, certified, publisher, seller):
    sample.make_listing(listing_id=sample.listing_id_for_seller(seller), seller=seller)
    public = client.get(LIST).json()
    Listing.objects.filter(seller=seller).update(access="private")  # past the log: only what is made anew shows it
    assert client.get(LIST).json() == public
    assert len(publisher.get(LIST).json()["results"]) == 2
    kept_answers.forget()
    assert len(client.get(LIST).json()["results"]) == 1


def test_kept_answers_come_out_of_the_budget(client, certified, settings):
    settings.THROTTLES = settings.THROTTLES | {"anonymous reads": (2, 60)}
    answers = [client.get(LIST) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[1]["RateLimit-Remaining"] == "0"


def test_no_more_than_so_many_are_kept(client, certified, monkeypatch):
    monkeypatch.setattr(kept_answers, "MOST", 1)
    client.get(f"{LIST}?limit=1")
    client.get(f"{LIST}?limit=2")
    assert queries_of(client, f"{LIST}?limit=2")[0] == 1
    assert queries_of(client, f"{LIST}?limit=1")[0] == 2
