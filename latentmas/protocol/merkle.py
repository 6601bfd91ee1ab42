"""RFC 6962 Merkle trees in the tiles of C2SP tlog-tiles: what is stored as a tree grows, and what a proof is made of.

A *node* is the hash of a complete subtree, named by its level (0 for leaves) and its index from the left. A *tile*
holds the nodes of every eighth level, 256 at a time; the nodes between are hashed from it. Pure: who calls it reads
and writes the tiles.
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
TILE_LEVELS = 8
TILE_WIDTH = 1 << TILE_LEVELS  # hashes
TILE_BYTES = TILE_WIDTH * HASH_BYTES
EMPTY_ROOT = hashlib.sha256(b"").digest()
# Leaves and inner nodes hash in different domains, so that neither can be passed off as the other.
LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"


@dataclass(frozen=True, slots=True)
class Node:
    level: int
    index: int


@dataclass(frozen=True, slots=True)
class TileName:
    """A tile: its `level` counts in steps of eight levels of the tree, its `index` in tiles from the left."""

    level: int
    index: int


Tiles = Mapping[TileName, bytes]  # hashes one after the other, as many as there are so far


class MissingHashes(LookupError):
    """A tile that a hash is made from is absent or shorter than the tree's size says."""


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(LEAF_PREFIX + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


def inclusion(index: int, size: int) -> list[range]:
    """Return the leaves under each hash of an audit path (RFC 6962 section 2.1.1), from the leaf upwards."""
    start, end, path = 0, size, []
    while end - start > 1:
        split = _split(start, end)
        if index < split:
            path.append(range(split, end))
            end = split
        else:
            path.append(range(start, split))
            start = split
    return path[::-1]


def consistency(old: int, new: int) -> list[range]:
    """Return the leaves under each hash of a consistency proof (RFC 6962 section 2.1.2).

    There are none from the empty tree, nor to the same one.
    """
    if old == 0:
        return []
    start, end, path = 0, new, []
    while old != end:
        split = _split(start, end)
        if old <= split:
            path.append(range(split, end))
            end = split
        else:
            path.append(range(start, split))
            start = split
    if start:  # else it is the whole old tree, whose root the verifier has
        path.append(range(start, end))
    return path[::-1]


def tiles_for(leaves: Iterable[range]) -> set[TileName]:
    """Return the tiles that `tree_hash` of these ranges reads."""
    return {_place(node)[0] for each in leaves for node in _nodes(each)}


def tree_hash(leaves: range, tiles: Tiles) -> bytes:
    """Return the Merkle Tree Hash of a range that begins where a subtree of its size can. Raises MissingHashes."""
    if not leaves:
        return EMPTY_ROOT
    *left, last = (_node_hash(node, tiles) for node in _nodes(leaves))
    return functools.reduce(lambda right, each: node_hash(each, right), reversed(left), last)


def border(size: int) -> list[TileName]:
    """Return the partial tiles at the right end of a tree, which are what growing it needs to read."""
    names, level = [], 0
    while size:
        if size % TILE_WIDTH:
            names.append(TileName(level, size // TILE_WIDTH))
        size, level = size // TILE_WIDTH, level + 1
    return names


def grown(tiles: Tiles, size: int, leaves: Sequence[bytes]) -> dict[TileName, bytes]:
    """Return the tiles that a tree of `size` leaves gains or changes with more leaf hashes. Raises MissingHashes.

    `tiles` holds those of `border(size)`. Work and tiles follow the number of new leaves, not the tree's size.
    """
    changed: dict[TileName, bytes] = {}
    level, hashes = 0, leaves
    while hashes:
        index, width = divmod(size, TILE_WIDTH)
        begun = _first(tiles, TileName(level, index), width) if width else b""
        content, filled = begun + b"".join(hashes), []
        for offset in range(0, len(content), TILE_BYTES):
            name = TileName(level, index + offset // TILE_BYTES)
            changed[name] = tile = content[offset : offset + TILE_BYTES]
            if len(tile) == TILE_BYTES:
                filled.append(_subtree(tile))
        level, size, hashes = level + 1, index, filled
    return changed


def _split(start: int, end: int) -> int:
    """Return where RFC 6962 divides a range: after the largest power of two below its length."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _nodes(leaves: range) -> Iterator[Node]:
    """Yield the largest complete subtrees that make up a range, from the left."""
    start = leaves.start
    while start < leaves.stop:
        level = (leaves.stop - start).bit_length() - 1
        yield Node(level, start >> level)
        start += 1 << level


def _place(node: Node) -> tuple[TileName, int, int]:
    """Return the tile below or at the node, and which of its hashes the node covers: the first, and how many."""
    level, above = divmod(node.level, TILE_LEVELS)
    index, first = divmod(node.index << above, TILE_WIDTH)
    return TileName(level, index), first, 1 << above


def _node_hash(node: Node, tiles: Tiles) -> bytes:
    name, first, count = _place(node)
    return _subtree(_first(tiles, name, first + count)[first * HASH_BYTES :])


def _first(tiles: Tiles, name: TileName, count: int) -> bytes:
    hashes = tiles.get(name, b"")[: count * HASH_BYTES]
    if len(hashes) != count * HASH_BYTES:
        raise MissingHashes(f"tile {name.level}/{name.index} has {len(hashes) // HASH_BYTES} of {count} hashes")
    return hashes


def _subtree(hashes: bytes) -> bytes:
    """Return the root over hashes whose number is a power of two."""
    level = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    while len(level) > 1:
        level = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]
