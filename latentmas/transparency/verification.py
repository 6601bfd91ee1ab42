"""Check the stored tree and every checkpoint against the leaf hashes, sharing no code with what wrote them.

The tree is built a second time, leaf by leaf, by another method than the writer's: a stack of complete subtrees, in
which two of one height become one of the next. Rows are read with plain SQL.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from latentmas.events.shadows import one_state
from latentmas.events.verification import Fault, as_bytes, read_by_position
from latentmas.protocol.verification.errors import VerificationFailed
from latentmas.protocol.verification.notes import ED25519, VerifierKey, read_note, read_tree_head, verified

LEAVES = "SELECT leaf_hash FROM events_event WHERE position > %s AND position <= %s ORDER BY position LIMIT %s"
PAGE = 10_000
TILE_SIZE = "SELECT position FROM events_followercursor WHERE name = 'merkle tree'"
TILE = 'SELECT hashes FROM transparency_tile WHERE level = %s AND "index" = %s'
TILES = "SELECT COUNT(*) FROM transparency_tile"
CHECKPOINTS = "SELECT size, root, note FROM transparency_checkpoint WHERE size > %s ORDER BY size LIMIT %s"
KEY_EVENTS = (
    "SELECT position, type, body FROM events_event WHERE type IN ('key.created', 'key.retired', 'key.revoked') "
    "ORDER BY position"
)
TILE_LEVELS, TILE_WIDTH = 8, 256


@dataclass(slots=True)
class Tree:
    """The complete subtrees that make up the leaves so far, and the hashes of the tiles that are being filled."""

    size: int = 0
    stack: list[tuple[int, bytes]] = field(default_factory=list)  # height and root, the highest first
    filling: dict[int, list[bytes]] = field(default_factory=dict)
    tiles: int = 0

    def add(self, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Take the next leaf and yield the tiles that it fills: level, index and hashes."""
        height, node = 0, leaf
        self.size += 1
        yield from self._keep(0, node)
        while self.stack and self.stack[-1][0] == height:
            node = hashlib.sha256(b"\x01" + self.stack.pop()[1] + node).digest()
            height += 1
            if height % TILE_LEVELS == 0:
                yield from self._keep(height // TILE_LEVELS, node)
        self.stack.append((height, node))

    def root(self) -> bytes:
        if not self.stack:
            return hashlib.sha256(b"").digest()
        right = self.stack[-1][1]
        for _, left in reversed(self.stack[:-1]):
            right = hashlib.sha256(b"\x01" + left + right).digest()
        return right

    def partial_tiles(self) -> Iterator[tuple[int, int, bytes]]:
        for level, hashes in self.filling.items():
            if hashes:
                yield level, self.size // TILE_WIDTH ** (level + 1), b"".join(hashes)

    def _keep(self, level: int, node: bytes) -> Iterator[tuple[int, int, bytes]]:
        hashes = self.filling.setdefault(level, [])
        hashes.append(node)
        if len(hashes) == TILE_WIDTH:
            yield level, self.size // TILE_WIDTH ** (level + 1) - 1, b"".join(hashes)
            hashes.clear()


def verify_tree() -> Iterator[Fault]:
    """Yield every tile and checkpoint that is not of the events that the log holds, as it stands when this begins."""
    with one_state():
        yield from _verify_tree()


def _verify_tree() -> Iterator[Fault]:
    size = (_select(TILE_SIZE) or [(0,)])[0][0]
    keys, unreadable = _keys()
    yield from unreadable
    checkpoints = _checkpoints()
    checkpoint = next(checkpoints, None)
    tree, tiles = Tree(), 0
    for leaf in _leaves(until=size):
        for tile in tree.add(leaf):
            tiles += 1
            yield from _tile_faults(*tile)
        if checkpoint and checkpoint[0] == tree.size:
            yield from _checkpoint_faults(tree, *checkpoint[1:], keys)
            checkpoint = next(checkpoints, None)
    for tile in tree.partial_tiles():
        tiles += 1
        yield from _tile_faults(*tile)
    if tree.size != size:
        yield Fault(None, f"the tree has {size} leaves, but the log only {tree.size} of these events")
    if (stored := _select(TILES)[0][0]) != tiles:
        yield Fault(None, f"{stored} tiles are stored where a tree of {tree.size} leaves has {tiles}")
    while checkpoint:
        yield Fault(None, f"the checkpoint of {checkpoint[0]} events is of more than the tree has")
        checkpoint = next(checkpoints, None)


def _tile_faults(level: int, index: int, hashes: bytes) -> Iterator[Fault]:
    rows = _select(TILE, level, index)
    if not rows:
        yield Fault(None, f"the tile {level}/{index} is missing")
    elif as_bytes(rows[0][0]) != hashes:
        yield Fault(None, f"the tile {level}/{index} is not of the leaves that the log holds")


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key of the log, and the position of the event that ended its use."""

    verifier: VerifierKey
    ended: int | None


def _checkpoint_faults(tree: Tree, root: bytes, note: str, keys: Mapping[str, LogKey]) -> Iterator[Fault]:
    name = f"the checkpoint of {tree.size} events"
    try:
        signed = read_note(note)
        head = read_tree_head(signed.text)
        signers = verified(signed, [key.verifier for key in keys.values()])
    except VerificationFailed as error:
        yield Fault(None, f"{name}: {error.message}")
        return
    if head.size != tree.size or head.root != root:
        yield Fault(None, f"{name} says something else in its note than in its columns")
    if head.root != tree.root():
        yield Fault(None, f"{name} is of another tree: the log was forked or its events were changed")
    if not any(key.name == head.origin for key in signers):
        yield Fault(None, f"{name} is signed by no key of this log")
    for key in keys.values():
        if key.verifier in signers and key.ended is not None and key.ended <= tree.size:
            yield Fault(None, f"{name} is signed by a key whose use ended at position {key.ended}")


def _keys() -> tuple[dict[str, LogKey], list[Fault]]:
    """Return the log's keys as its events tell of them, not the projection, and events that cannot be read."""
    found: dict[str, LogKey] = {}
    unreadable = []
    for position, kind, body in _select(KEY_EVENTS):
        try:
            _take_key(found, position, kind, json.loads(as_bytes(body))["payload"])
        except (ValueError, KeyError, TypeError):
            unreadable.append(Fault(position, f"the event {kind!r} cannot be read, so its key is not known"))
    return found, unreadable


def _take_key(found: dict[str, LogKey], position: int, kind: str, payload: Any) -> None:
    key_id = payload["key_id"]
    if kind != "key.created":
        if (key := found.get(key_id)) and key.ended is None:
            found[key_id] = LogKey(key.verifier, position)
    elif payload["purpose"] == "log":
        name, public_key = payload["name"], base64.b64decode(payload["public_key"])
        note_id = hashlib.sha256(name.encode() + b"\n" + bytes([ED25519]) + public_key).digest()[:4]
        found[key_id] = LogKey(VerifierKey(name, note_id, ED25519, public_key), None)


def _checkpoints() -> Iterator[tuple[int, bytes, str]]:
    after = -1
    while rows := _select(CHECKPOINTS, after, PAGE):
        yield from ((size, as_bytes(root), str(note)) for size, root, note in rows)
        after = rows[-1][0]


def _leaves(*, until: int) -> Iterator[bytes]:
    return (as_bytes(leaf) for (leaf,) in read_by_position(LEAVES, after=0, until=until, page=PAGE))


def _select(sql: str, *parameters: int) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
