"""Memories of a tiny model, which really reads random letters; and artefacts with such a memory as their file."""

from dataclasses import replace

import numpy as np

from factory.demonstration.memories import read_memory
from factory.runners.model import RunningModel
from kvcache.server.queries import get_adapter
from latentmas import blobs
from latentmas.protocol.snapshot import KVSnapshot, write_snapshot
from marketplace.artefacts import decisions
from marketplace.artefacts.commands import change
from marketplace.artefacts.events import VersionPublished
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.lifecycle.commands import By
from marketplace.sales.goods import Kind
from marketplace.texts.free_text import FreeText
from tests.kvcache.exchange import sample as caches
from tests.marketplace.artefacts.sample import contents, listed
from tests.marketplace.sample import METADATA, SOURCE

LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz ,."))


def letters(count: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(LETTERS, count))


def read(model: RunningModel, text: str) -> KVSnapshot:
    return read_memory(model, text)


def without_ids(snapshot: KVSnapshot) -> KVSnapshot:
    return KVSnapshot(replace(snapshot.frame, token_ids=None), snapshot.keys, snapshot.values)


def memory(seed: int = 0, *, tokens: int = 12, ids: bool = True) -> KVSnapshot:
    """A memory of the source model's geometry: numbers from a generator, with ids from it too."""
    geometry = get_adapter(SOURCE).geometry
    assert geometry is not None
    named = np.random.default_rng(seed).integers(1, 40_000, 1 + tokens).astype(np.int32)
    return caches.cache(tokens, geometry, seed=seed, model=SOURCE, token_ids=named if ids else None)


def file_of(snapshot: KVSnapshot) -> bytes:
    return write_snapshot(snapshot)


def publish(artefact_id: str, data: bytes, version: str = "1.0.0", *, rights: str = "My own.") -> None:
    """Publish a version of this very file."""
    published = VersionPublished(version, StoredFile(blobs.put_bytes(data), len(data)), contents(), None)
    change(
        artefact_id,
        lambda state, agent: decisions.decide_publish(state, agent, published=published, rights=FreeText(rights)),
        By(None, METADATA),
    )


def published(seller: str, data: bytes, *, kind: Kind = Kind.MEMORY, **known: object) -> str:
    """List an artefact with one version of this file, which waits for its screening; return its id."""
    artefact_id = listed(seller, kind=kind, **known)
    publish(artefact_id, data)
    return artefact_id
