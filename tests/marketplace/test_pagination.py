import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.protocol.errors import InvalidInput
from marketplace.listings.models import Listing
from marketplace.listings.pagination import _decode, _encode


@given(st.integers(0, 3), st.floats(0, 1), st.uuids())
def test_a_cursor_names_its_place_exactly(rank, epsilon, identifier):
    row = Listing(basis_rank=rank, epsilon=epsilon, id=str(identifier))
    assert _decode(_encode(row)) == (rank, epsilon, str(identifier))


@given(st.text(max_size=60))
def test_whatever_else_a_cursor_holds_is_refused(text):
    with pytest.raises(InvalidInput):
        _decode(text)
