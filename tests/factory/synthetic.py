"""Calibration packs of models that do not exist, over the Lee corpus: rows follow from what was read so far."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from django.test import Client

from factory.corpora import Split, corpus_with
from factory.corpora.documents import split_of
from factory.packs.pack import PackDocument
from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.geometry import KVGeometry
from latentmas.rest.answers import CONTENT_TYPE

LEE = corpus_with(name="lee-background")
DOCUMENTS = {Split.CALIBRATION: 16, Split.SELECTION: 3, Split.HELD_OUT: 4}
FACTORS = 8
GEOMETRY = KVGeometry(layers=2, heads=2, head_dim=8, rotary_dim=8, thetas=(10_000.0,) * 2, windows=(None,) * 2)


def chosen() -> list[str]:
    """Return the digests of some documents of every split, in order."""
    left = dict(DOCUMENTS)
    found = []
    for digest in sorted(LEE.documents):
        split = split_in_lee(digest)
        if left[split]:
            left[split] -= 1
            found.append(digest)
    return found


def split_in_lee(digest: str) -> Split:
    return split_of(LEE.groups.get(digest, digest))


@dataclass
class Synthetic:
    """A pack to be written; tests spoil `document` and `arrays` before they write it."""

    model: str
    characters: int = 6  # of a token
    geometry: KVGeometry = GEOMETRY
    seed: int = 0
    document: dict[str, Any] = field(init=False)
    arrays: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        width = self.geometry.width
        mix = rng.normal(size=(FACTORS, width))
        documents = chosen()
        rows, spans, starts = [], [], [0]
        for digest in documents:
            length = min(LEE.documents[digest], LEE.cut)
            ends = np.arange(self.characters, length + 1, self.characters)
            rows.append(factors(digest, ends) @ mix + 0.05 * rng.normal(size=(len(ends), width)))
            spans += [(end - self.characters, end) for end in ends]
            starts.append(len(spans))
        self.arrays = {
            "rows": np.concatenate(rows).astype(np.float16),
            "spans": np.array(spans, np.int32),
            "starts": np.array(starts, np.int64),
            "bos": rng.normal(size=width).astype(np.float32),
        }
        self.document = plain(
            PackDocument(
                model=self.model,
                weights=f"sha256:{hashlib.sha256(self.model.encode()).hexdigest()}",
                corpus=LEE.name,
                corpus_digest=LEE.digest,
                geometry=self.geometry,
                documents=tuple(documents),
                splits=tuple(split_in_lee(digest) for digest in documents),
            )
        )

    def write(self, path: Path) -> Path:
        with path.open("wb") as file:
            tensors.write(file, self.arrays, self.document)
        return path

    def bytes(self, folder: Path) -> bytes:
        return self.write(folder / "pack.safetensors").read_bytes()


def upload(client: Client, data: bytes, query: str = "") -> Any:
    """Send a pack and return the answer."""
    return client.post(f"/api/calibration-packs{query}", data=data, content_type=CONTENT_TYPE)


def factors(digest: str, ends: np.ndarray) -> np.ndarray:
    """Return what a reader knows after each end `[tokens, FACTORS]`: slow waves, so that near ends are alike."""
    rng = np.random.default_rng(int(digest[:8], 16))
    waves = np.sin(ends[:, None] / rng.uniform(30, 120, FACTORS) + rng.uniform(0, 6, FACTORS))
    return waves * rng.normal(1, 0.3, FACTORS)
