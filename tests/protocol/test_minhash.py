import numpy as np
import pytest

from latentmas.protocol.minhash import mixed, signature

PERMUTATIONS = 512


def members(first, last):
    return mixed(np.arange(first, last, dtype=np.uint64))


@pytest.mark.parametrize(("shared", "share"), [(0, 0), (500, 1 / 3), (900, 9 / 11), (1000, 1)])
def test_the_share_of_equal_places_estimates_the_share_of_common_members(shared, share):
    one = signature(members(0, 1000), permutations=PERMUTATIONS)
    other = signature(members(1000 - shared, 2000 - shared), permutations=PERMUTATIONS)
    assert float((one == other).mean()) == pytest.approx(share, abs=0.07)


def test_the_order_of_the_members_does_not_matter():
    hashes = members(0, 2000)
    assert (signature(hashes, permutations=64) == signature(hashes[::-1], permutations=64)).all()


def test_a_set_of_one_has_a_signature():
    assert signature(members(5, 6), permutations=64).shape == (64,)
