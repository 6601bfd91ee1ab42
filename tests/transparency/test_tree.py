"""The follower's tree is RFC 6962's over the leaf hashes that the log holds."""

import hashlib

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from latentmas.events import triggers
from latentmas.events.errors import LogCorrupted
from latentmas.events.models import Event
from latentmas.protocol.verification.proofs import verify_consistency, verify_inclusion
from latentmas.transparency import tree
from latentmas.transparency.models import Tile
from tests.protocol.test_merkle import by_definition


def leaves():
    return [bytes(leaf) for leaf in Event.objects.order_by("position").values_list("leaf_hash", flat=True)]


def test_it_grows_to_the_roots_of_the_definition_around_a_full_tile(record):
    for step, size in ((254, 254), (1, 255), (1, 256), (1, 257), (260, 517)):
        record(step)
        assert tree.grow() == step
        assert tree.size() == size
        assert tree.root(size) == by_definition(leaves())
    assert tree.root(256) == by_definition(leaves()[:256])  # older trees stay within reach
    assert tree.grow() == 0


def test_its_proofs_are_accepted_by_the_verifier(record):
    record(300)
    tree.grow()
    for index, size in ((0, 1), (0, 300), (255, 256), (256, 257), (299, 300)):
        proof = tree.inclusion_proof(index, size=size)
        verify_inclusion(leaves()[index], index=index, size=size, proof=proof, root=tree.root(size))
    for old, new in ((1, 300), (255, 256), (256, 257), (256, 300), (300, 300)):
        proof = tree.consistency_proof(old, new)
        verify_consistency(old=old, new=new, old_root=tree.root(old), new_root=tree.root(new), proof=proof)


def test_a_page_of_leaves_ends_anywhere(record, monkeypatch):
    monkeypatch.setattr(tree, "LEAVES_PER_PAGE", 100)
    record(257)
    tree.grow()
    assert tree.root(257) == by_definition(leaves())


def test_a_proof_is_one_query(record):
    record(300)
    tree.grow()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        tree.inclusion_proof(5, size=300)
    assert len(queries) == 1


def test_a_log_with_a_hole_gets_no_tree(record):
    record(10)
    with triggers.lifted():
        Event.objects.filter(position=4).delete()
    with pytest.raises(LogCorrupted, match="no event at position 4"):
        tree.grow()
    assert (tree.size(), Tile.objects.count()) == (0, 0)


def test_a_proof_is_not_made_from_a_tile_that_lost_hashes(record):
    record(300)
    tree.grow()
    Tile.objects.filter(level=0, index=1).update(hashes=hashlib.sha256(b"").digest())
    with pytest.raises(LogCorrupted, match="tile 0/1 has 1 of"):
        tree.root(300)
