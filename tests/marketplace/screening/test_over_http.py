"""From a seller's request to the public card, and what becomes of a second seller's copy."""

import pytest
from django.test import Client

from latentmas.jobs.models import Job
from marketplace.artefacts.publication import SCREEN
from tests.marketplace.artefacts.selling import sold
from tests.work import work

pytestmark = pytest.mark.django_db


def screened(client, **more):
    """List a memory, do the first job that waits, and return the card's address."""
    card = sold(client, **more)
    assert next(work()).kind == SCREEN
    Job.objects.all().delete()  # the measurement, which would run a model
    return card["url"]


def test_a_memory_is_on_sale_after_its_job_and_a_copy_is_not(shop, thief):
    first = screened(shop)
    shown = Client().get(first).json()
    assert (shown["version"], shown["uniqueness"], shown["retention"]) == ("1.0.0", 1.0, None)
    copy = screened(thief)
    assert Client().get(copy).status_code == 404
    (version,) = thief.get(copy).json()["versions"]
    assert (version["screening"], version["duplicate_of"]) == ("refused", f"{shown['id']}/1.0.0")
    assert [each["id"] for each in Client().get("/api/memories").json()["results"]] == [shown["id"]]


def test_a_title_with_an_address_in_it_is_told_to_its_seller_alone(shop):
    url = screened(shop, title="Minutes, by ada@engine.org")
    assert Client().get(url).status_code == 404
    (version,) = shop.get(url).json()["versions"]
    assert version["findings"] == ["the title seems to hold an e-mail address, 12 characters in"]
