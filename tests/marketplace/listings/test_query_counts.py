"""A read of the catalogue makes as many queries for a large one as for a small one."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.marketplace import sample

pytestmark = pytest.mark.django_db
PAIR = f"source_model={sample.SOURCE}&target_model={sample.TARGET}"
READS = {
    "/api/w-matrices?limit=100": 2,  # the log's head is one of them, whether its page is kept or not
    f"/api/w-matrices?limit=100&tier=platinum&price_max=100&{PAIR}": 4,
    "/api/w-matrices?limit=100&family=SmolLM": 3,
    f"/api/w-matrices/best?{PAIR}": 5,
    f"/api/w-matrices/compatible?source_model={sample.SOURCE}": 3,
    "/api/feed": 4,
    "/api/changes": 3,
}


def certify(sellers):
    for number in sellers:
        seller = f"agent:{number}"
        sample.make_listing(
            quality=sample.functional(0.97),
            at=timezone.now(),
            listing_id=sample.listing_id_for_seller(seller),
            seller=seller,
        )


@pytest.mark.parametrize(("path", "expected"), READS.items())
def test_a_read_makes_the_same_queries_whatever_there_is(client, registry, path, expected):
    certify(range(2))
    with CaptureQueriesContext(connection) as few:
        assert client.get(path).status_code == 200
    certify(range(2, 20))
    with CaptureQueriesContext(connection) as many:
        assert client.get(path).status_code == 200
    assert (len(few), len(many)) == (expected, expected)
