"""Parents, royalties and the bounds of both."""

import pytest

from latentmas.protocol.errors import InvalidInput
from marketplace.artefacts.errors import LineageCycle, NotYourArtefact, RoyaltiesTooHigh
from marketplace.artefacts.lineage import MAX_ROYALTIES, PARENTS, Relative, ancestors_of, royalties_of, shares
from marketplace.artefacts.models import ArtefactParent
from tests.marketplace.artefacts.sample import declare, listed

pytestmark = pytest.mark.django_db


@pytest.fixture
def line(seller):
    """Four artefacts, each made from the one before."""
    ids = [listed(seller) for _ in range(5)]
    for child, parent in zip(ids[1:], ids, strict=False):
        declare(child, seller, (parent, 2000))
    return ids


def test_a_parent_passes_on_what_it_owes(line, seller):
    found = {each.item: each.basis_points for each in royalties_of(line[-1])}
    assert found == {line[3]: 1600, line[2]: 320, line[1]: 80}
    assert {each.agent for each in royalties_of(line[-1])} == {seller}


def test_the_lineage_goes_on_beyond_the_royalties(line):
    assert [each.generation for each in ancestors_of([line[-1]])] == [1, 2, 3, 4]


def test_two_ways_to_one_ancestor_add_up():
    lines = [Relative("b", "a", 1, 1000), Relative("c", "a", 1, 500), Relative("d", "b", 2, 5000)]
    lines += [Relative("d", "c", 2, 5000)]
    assert shares("a", lines) == {"b": 500, "c": 250, "d": 750}


def test_all_together_get_no_more_than_was_declared(line):
    assert sum(each.basis_points for each in royalties_of(line[-1])) == 2000


@pytest.mark.parametrize("first", [0, 1, 4])
def test_a_parent_that_descends_from_it_is_refused(line, seller, first):
    before = list(ArtefactParent.objects.values_list("id", flat=True))
    with pytest.raises(LineageCycle):
        declare(line[first], seller, (line[-1], 0))
    assert list(ArtefactParent.objects.values_list("id", flat=True)) == before


def test_royalties_above_the_bound_are_refused(seller):
    child, one, other = (listed(seller) for _ in range(3))
    with pytest.raises(RoyaltiesTooHigh):
        declare(child, seller, (one, MAX_ROYALTIES), (other, 1))
    declare(child, seller, (one, MAX_ROYALTIES), (other, 0))
    assert ArtefactParent.objects.count() == 2


def test_other_parents_replace_those_before(line, seller):
    declare(line[-1], seller, (line[0], 100))
    assert [each.artefact_id for each in ancestors_of([line[-1]])] == [line[0]]


@pytest.mark.parametrize("parents", [[-1], [0] * (PARENTS + 1)])
def test_wrong_parents_are_refused(seller, parents):
    child = listed(seller)
    with pytest.raises(InvalidInput):
        declare(child, seller, *((listed(seller), points) for points in parents))


def test_a_parent_named_twice_is_refused(seller):
    child, parent = listed(seller), listed(seller)
    with pytest.raises(InvalidInput):
        declare(child, seller, (parent, 1), (parent, 2))


def test_only_the_seller_declares(seller):
    with pytest.raises(NotYourArtefact):
        declare(listed(seller), "somebody-else", (listed(seller), 1))
