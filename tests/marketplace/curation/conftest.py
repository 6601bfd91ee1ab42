"""Staff of each group, which a migration makes."""

import pytest
from django.contrib.auth.models import User

from marketplace.curation.commands import report_listing
from marketplace.curation.models import Kind, Report
from marketplace.listings.models import Listing


@pytest.fixture
def report(certified: str, alice: User) -> Report:
    return report_listing(
        Listing.objects.get(id=certified), alice, kind=Kind.FIGURES, text="The figures are another file's."
    )
