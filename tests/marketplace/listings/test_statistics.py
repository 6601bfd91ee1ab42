from datetime import timedelta

import pytest
from django.utils import timezone

from marketplace.listings.statistics import statistics
from tests.marketplace import sample

pytestmark = pytest.mark.django_db


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
