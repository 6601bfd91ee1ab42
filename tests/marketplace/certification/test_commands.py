"""Rotations of private texts, and the few attempts that an account has in each."""

import pytest

from latentmas import blobs
from latentmas.events.models import Event
from latentmas.events.rebuilding import check, chosen
from latentmas.protocol.errors import Conflict, InvalidInput
from marketplace.certification.aggregate import ATTEMPTS_ALLOWED
from marketplace.certification.commands import begin_attempt, open_rotation, publish_rotation
from marketplace.certification.errors import AttemptsSpent
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.models import ListingVersion
from tests.marketplace import sample

pytestmark = pytest.mark.django_db


def ended() -> StoredFile:
    return StoredFile(blobs.put_bytes(b"{}"), 2)


@pytest.fixture
def row(registry) -> ListingVersion:
    sample.make_listing()
    return ListingVersion.objects.get()


def test_an_account_has_three_attempts_at_a_pair_in_a_rotation(row):
    for number in range(ATTEMPTS_ALLOWED):
        assert begin_attempt(row, account="agent:one", job=str(number)) == 1
    with pytest.raises(AttemptsSpent) as refused:
        begin_attempt(row, account="agent:one", job="another")
    assert refused.value.facts["attempts"] == [f"{row.listing_id}/1.0.0"] * 3
    assert Event.objects.filter(type="certification.attempted").count() == 3
    assert begin_attempt(row, account="agent:one", job="2") == 1  # the same job again
    assert begin_attempt(row, account="agent:two", job="another") == 1
    publish_rotation(1, ended(), metadata=sample.METADATA)
    assert begin_attempt(row, account="agent:one", job="another") == 2


def test_only_the_open_rotation_is_published_and_only_with_its_file():
    assert open_rotation() == 1
    with pytest.raises(InvalidInput, match="not stored"):
        publish_rotation(1, StoredFile("sha256:" + "0" * 64, 2), metadata=sample.METADATA)
    with pytest.raises(Conflict):
        publish_rotation(2, ended(), metadata=sample.METADATA)
    publish_rotation(1, ended(), metadata=sample.METADATA)
    with pytest.raises(Conflict):
        publish_rotation(1, ended(), metadata=sample.METADATA)


@pytest.mark.django_db(transaction=True)
def test_the_log_gives_the_same_rows():
    open_rotation()
    publish_rotation(1, ended(), metadata=sample.METADATA)
    open_rotation()
    assert check(chosen(["marketplace.certification.projectors.rotations"])) == []
