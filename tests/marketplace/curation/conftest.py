"""Staff of each group, which a migration makes."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from marketplace.curation.commands import report_listing
from marketplace.curation.models import Kind, Report
from marketplace.listings.models import Listing


@pytest.fixture
def member(db: None) -> Callable[[str], Client]:
    """Makes a client of staff of one group that is logged in."""

    def make(group: str) -> Client:
        user = User.objects.create_user(f"{group}-1", is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def report(certified: str, alice: User) -> Report:
    return report_listing(
        Listing.objects.get(id=certified), alice, kind=Kind.FIGURES, text="The figures are another file's."
    )
