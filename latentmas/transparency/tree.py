"""The log's Merkle tree, kept in tiles by a follower. The leaf of the event at position n is at index n - 1."""

from collections.abc import Iterable, Sequence

from django.db.models import Q

from latentmas.events import store
from latentmas.events.errors import LogCorrupted
from latentmas.events.followers import cursor, follow_rows
from latentmas.protocol import merkle
from latentmas.protocol.merkle import TileName
from latentmas.transparency.models import Tile

FOLLOWER = "merkle tree"
LEAVES_PER_PAGE = 4096  # 16 tiles of level 0; written in one transaction


def grow() -> int:
    """Add the leaves of all events that the tree lacks, and return how many there were. Raises LogCorrupted."""
    return follow_rows(FOLLOWER, _append, read=store.read_leaves, batch=LEAVES_PER_PAGE)


def size() -> int:
    """Return how many leaves the tree has."""
    return cursor(FOLLOWER)


def root(size: int) -> bytes:
    """Return the root over the first `size` leaves. Raises LogCorrupted."""
    return _hashes([range(size)])[0]


def inclusion_proof(index: int, *, size: int) -> list[bytes]:
    """Return the audit path of a leaf in the tree of `size` leaves. Raises LogCorrupted."""
    return _hashes(merkle.inclusion(index, size))


def consistency_proof(old: int, new: int) -> list[bytes]:
    """Return the hashes that prove that the tree of `new` leaves begins with that of `old`. Raises LogCorrupted."""
    return _hashes(merkle.consistency(old, new))


def tile_hashes(name: TileName) -> bytes:
    """Return the hashes that a tile holds so far, none for a tile that is not there."""
    return _read([name]).get(name, b"")


def _append(leaves: Sequence[store.Leaf]) -> None:
    size = cursor(FOLLOWER)
    for expected, leaf in enumerate(leaves, start=size + 1):
        if leaf.position != expected:
            raise LogCorrupted(f"the log has no event at position {expected}; the tree cannot go on")
    try:
        changed = merkle.grown(_read(merkle.border(size)), size, [leaf.hash for leaf in leaves])
    except merkle.MissingHashes as error:
        raise _damaged(error) from error
    Tile.objects.bulk_create(
        [Tile(level=name.level, index=name.index, hashes=hashes) for name, hashes in changed.items()],
        update_conflicts=True,
        unique_fields=["level", "index"],
        update_fields=["hashes"],
    )


def _hashes(ranges: Sequence[range]) -> list[bytes]:
    tiles = _read(merkle.tiles_for(ranges))
    try:
        return [merkle.tree_hash(each, tiles) for each in ranges]
    except merkle.MissingHashes as error:
        raise _damaged(error) from error


def _read(names: Iterable[TileName]) -> dict[TileName, bytes]:
    wanted = Q(pk__in=[])
    for level in {name.level for name in names}:
        wanted |= Q(level=level, index__in=[name.index for name in names if name.level == level])
    rows = Tile.objects.filter(wanted).values_list("level", "index", "hashes") if names else ()
    return {TileName(level, index): bytes(hashes) for level, index, hashes in rows}


def _damaged(error: merkle.MissingHashes) -> LogCorrupted:
    return LogCorrupted(f"the tree of the log is damaged: {error}", resolution="Run verify_log.")
