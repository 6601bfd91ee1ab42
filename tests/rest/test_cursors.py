"""A cursor is a place in an order: those handed out once stay valid, and nothing else is taken for one."""

import base64
import json
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory import queries as packs
from factory.models import CalibrationPack
from latentmas.protocol.errors import InvalidInput
from latentmas.rest.cursors import _decode, _encode, page_of
from marketplace.ledger.models import LedgerTransfer
from marketplace.ledger.statements import ORDER
from marketplace.listings import queries as listings
from marketplace.listings.models import Listing

LISTING = "5f0c1c7e-8f0b-5a39-9d0a-2f6b7f3a1e55"
DIGEST = "sha256:" + "a" * 64
# As they were handed out before both lists shared this module.
LISTING_CURSOR = "WzMsMC4xMjUsIjVmMGMxYzdlLThmMGItNWEzOS05ZDBhLTJmNmI3ZjNhMWU1NSJd"
PACK_CURSOR = (
    "WyJncHQtNCIsInNoYTI1NjphYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhIl0"
)


def columns(model, order):
    return [model._meta.get_field(name) for name in order]


def written(place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def test_a_cursor_of_the_catalogue_is_written_as_it_always_was():
    row = Listing(basis_rank=3, epsilon=0.125, id=LISTING)
    assert _encode(row, listings.ORDER) == LISTING_CURSOR
    assert _decode(LISTING_CURSOR, columns(Listing, listings.ORDER)) == [3, 0.125, LISTING]


def test_a_cursor_of_the_packs_is_written_as_it_always_was():
    assert _encode(CalibrationPack(model="gpt-4", digest=DIGEST), packs.ORDER) == PACK_CURSOR
    assert _decode(PACK_CURSOR, columns(CalibrationPack, packs.ORDER)) == ["gpt-4", DIGEST]


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_names_a_time_exactly(at, identifier):
    row = LedgerTransfer(at=at, id=str(identifier))
    assert _decode(_encode(row, ORDER), columns(LedgerTransfer, ORDER)) == [at.isoformat(), str(identifier)]


@pytest.mark.parametrize("at", ["2026-01-01T00:00:00", "2026-01-01T00:00:00+02:00", "9999-12-31T23:59:59-23:59", "now"])
def test_a_time_that_is_not_written_as_ours_is_no_place(at):
    with pytest.raises(InvalidInput):
        _decode(written([at, "x"]), columns(LedgerTransfer, ORDER))


@given(st.integers(0, 3), st.floats(0, 1), st.uuids())
def test_a_cursor_names_its_place_exactly(rank, epsilon, identifier):
    row = Listing(basis_rank=rank, epsilon=epsilon, id=str(identifier))
    assert _decode(_encode(row, listings.ORDER), columns(Listing, listings.ORDER)) == [rank, epsilon, str(identifier)]


@given(st.text(max_size=60))
def test_whatever_else_a_cursor_holds_is_refused(text):
    with pytest.raises(InvalidInput):
        _decode(text, columns(Listing, listings.ORDER))


@pytest.mark.parametrize(
    "place",
    [
        {"basis_rank": 3},
        [3, 0.125],
        [3, 0.125, LISTING, "more"],
        ["3", 0.125, LISTING],
        [-1, 0.125, LISTING],
        [10**30, 0.125, LISTING],
        [3.5, 0.125, LISTING],
        [3, None, LISTING],
        [3, float("nan"), LISTING],
        [3, 10**400, LISTING],
        [3, 0.125, 5],
        [3, 0.125, ""],
        [3, 0.125, "a" * 400],
        [3, 0.125, "a\x00"],
        [3, 0.125, "\ud800"],
    ],
)
def test_a_place_that_no_row_can_have_is_refused(place):
    with pytest.raises(InvalidInput, match="the cursor is not one of ours"):
        page_of(Listing.objects.all(), order=listings.ORDER, limit=1, cursor=written(place))


def test_a_cursor_of_another_list_is_refused():
    with pytest.raises(InvalidInput, match="the cursor is not one of ours"):
        page_of(CalibrationPack.objects.all(), order=packs.ORDER, limit=1, cursor=LISTING_CURSOR)


@pytest.mark.django_db
def test_rows_that_are_equal_in_the_first_column_follow_by_the_next():
    models = ["a", "a", "b", "b", "c"]
    for index, model in enumerate(models):
        CalibrationPack.objects.create(
            digest=f"sha256:{9 - index:064d}",
            model=model,
            size=1,
            calibration_tokens=1,
            documents=1,
            width=1,
            recorded_at="2026-03-01T12:00:00Z",
        )
    seen, cursor = [], None
    for _ in models:
        page = page_of(CalibrationPack.objects.all(), order=packs.ORDER, limit=1, cursor=cursor)
        seen += [(row.model, row.digest) for row in page.rows]
        cursor = page.next_cursor
    assert cursor is None
    assert seen == sorted(CalibrationPack.objects.values_list("model", "digest"))
