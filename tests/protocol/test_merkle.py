"""The writer's trees against RFC 6962's definition, and its proofs against a verifier that shares no code with it."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.protocol import merkle
from latentmas.protocol.merkle import TileName, grown, tree_hash
from latentmas.protocol.verification.errors import Reason, VerificationFailed
from latentmas.protocol.verification.proofs import verify_consistency, verify_inclusion

BORDERS = (1, 2, 3, 255, 256, 257, 65_535, 65_536, 65_537)
LEAVES = [hashlib.sha256(b"leaf %d" % number).digest() for number in range(max(BORDERS))]


def by_definition(leaves):
    """RFC 6962 section 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:k]) + by_definition(leaves[k:])).digest()


def grow(steps):
    """Grow a tree in steps, as the follower does: only the border is at hand."""
    tiles, size = {}, 0
    for step in steps:
        at_hand = {name: tiles[name] for name in merkle.border(size)}
        tiles |= grown(at_hand, size, LEAVES[size : size + step])
        size += step
    return tiles


TILES = grow([max(BORDERS)])


@pytest.mark.parametrize("size", BORDERS)
def test_the_root_is_that_of_the_definition_at_the_tiles_borders(size):
    assert tree_hash(range(size), TILES) == by_definition(LEAVES[:size])


def test_the_empty_tree_has_the_root_of_nothing():
    assert tree_hash(range(0), {}) == by_definition([])


@pytest.mark.parametrize("size", BORDERS)
def test_a_leaf_at_each_end_is_proven_at_the_tiles_borders(size):
    for index in {0, size // 2, size - 1}:
        proof = [tree_hash(each, TILES) for each in merkle.inclusion(index, size)]
        verify_inclusion(LEAVES[index], index=index, size=size, proof=proof, root=tree_hash(range(size), TILES))


@pytest.mark.parametrize("old", BORDERS)
@pytest.mark.parametrize("new", BORDERS)
def test_a_tree_is_proven_to_contain_each_older_one(old, new):
    if old <= new:
        proof = [tree_hash(each, TILES) for each in merkle.consistency(old, new)]
        roots = {"old_root": tree_hash(range(old), TILES), "new_root": tree_hash(range(new), TILES)}
        verify_consistency(old=old, new=new, proof=proof, **roots)


@given(st.data(), st.integers(1, 700))
def test_every_proof_of_a_small_tree_holds_and_a_truncated_one_does_not(data, size):
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root = tree_hash(range(size), TILES)
    proof = [tree_hash(each, TILES) for each in merkle.inclusion(index, size)]
    verify_inclusion(LEAVES[index], index=index, size=size, proof=proof, root=root)
    grown_from = [tree_hash(each, TILES) for each in merkle.consistency(old, size)]
    old_root = tree_hash(range(old), TILES)
    verify_consistency(old=old, new=size, old_root=old_root, new_root=root, proof=grown_from)
    if proof:
        with pytest.raises(VerificationFailed) as failure:
            verify_inclusion(LEAVES[index], index=index, size=size, proof=proof[:-1], root=root)
        assert failure.value.reason is Reason.PROOF_INVALID
    if grown_from:
        with pytest.raises(VerificationFailed):
            verify_consistency(old=old, new=size, old_root=old_root, new_root=root, proof=grown_from[:-1])


@given(st.lists(st.integers(1, 600), min_size=1, max_size=12))
def test_steps_of_any_length_make_the_same_tiles(steps):
    assert grow(steps) == grow([sum(steps)])


def test_tiles_are_those_of_the_specifications_example():
    tiles = grow([65_537]) | {}
    size = 65_536
    assert [len(tiles[TileName(0, index)]) for index in (0, 255)] == [8192, 8192]
    assert len(tiles[TileName(1, 0)]) == 8192
    assert len(tiles[TileName(2, 0)]) == 32
    assert merkle.border(70_000) == [TileName(0, 273), TileName(1, 1), TileName(2, 0)]
    assert merkle.border(size) == [TileName(2, 0)]


def test_growing_by_a_thousand_touches_few_tiles_whatever_the_size():
    begun = merkle.border(65_000)
    changed = grown({name: grow([65_000])[name] for name in begun}, 65_000, LEAVES[:500])
    assert len(changed) <= 4


def test_a_proof_names_the_tiles_that_it_reads():
    ranges = merkle.inclusion(5, 65_537)
    few = {name: TILES[name] for name in merkle.tiles_for(ranges)}
    assert len(few) <= 4
    assert [tree_hash(each, few) for each in ranges] == [tree_hash(each, TILES) for each in ranges]


@pytest.mark.parametrize("damaged", [{}, {TileName(0, 0): TILES[TileName(0, 0)][:-32]}])
def test_a_hash_is_not_made_from_a_tile_that_is_short_or_absent(damaged):
    with pytest.raises(merkle.MissingHashes, match="tile 0/0"):
        tree_hash(range(128, 256), damaged)
