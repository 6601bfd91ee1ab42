"""Statistics of a pair's packs as files, so that several workers can gather them and one can solve with their sum."""

import itertools
from collections.abc import Mapping
from typing import Any, BinaryIO

import jax
import jax.numpy as jnp
import numpy as np

from factory.alignment.fit import PairStatistics, accumulate
from factory.alignment.standardise import Standard, Standards, standards_of
from factory.corpora import Split
from factory.packs.pairs import CHUNK_ROWS, paired_rows, shared_tokens
from factory.progress import Progress
from factory.recipes.closed_form import Packs
from factory.slices import Slice
from latentmas import blobs
from latentmas.protocol import tensors
from latentmas.protocol.tensors import Array

LEAST_ROWS = 25_000  # of a slice: its file has gigabytes, whatever its rows
MAX_BYTES = 16 << 30
SIDES = ("source", "target")


def slices_of(packs: Packs, *, at_most: int) -> int:
    """Return into how many slices the rows of two packs are worth being cut."""
    return max(1, min(at_most, shared_tokens(*packs) // LEAST_ROWS))


def store_standards(packs: Packs) -> str:
    """Store mean and scale of both sides over all rows, and return the file's digest."""
    found = standards_of(lambda: paired_rows(*packs, Split.CALIBRATION))
    document = {"chunks": found.chunks, "rows": found.rows}
    return blobs.put(lambda file: tensors.write(file, _arrays_of(found.source, found.target), document))


def store_slice(packs: Packs, standards: str, part: Slice, *, progress: Progress) -> str:
    """Store the statistics of a slice of the rows, standardised as all of them, and return the file's digest."""
    opened = _open(standards)
    document: Any = opened.document
    mine = part.of(range(int(document["chunks"])))
    source, target = _standards_in(opened)
    found = accumulate(
        lambda: itertools.islice(paired_rows(*packs, Split.CALIBRATION), mine[0], mine[-1] + 1),
        standards=Standards(source, target, 1.0, len(mine), len(mine) * CHUNK_ROWS),
        progress=progress,
    )
    return store_statistics(found)


def store_statistics(statistics: PairStatistics) -> str:
    def write(file: BinaryIO) -> None:
        large = {"gram": np.asarray(statistics.gram), "cross": np.asarray(statistics.cross)}
        tensors.write(file, large | _arrays_of(statistics.source, statistics.target), {"rows": statistics.rows})

    return blobs.put(write)


def load_statistics(digest: str) -> PairStatistics:
    """Return stored statistics. Raises NotFound where the file is gone."""
    opened = _open(digest)
    document: Mapping[str, Any] = opened.document
    with jax.enable_x64(True):
        gram, cross = (jnp.asarray(opened.read(name)) for name in ("gram", "cross"))
    return PairStatistics(*_standards_in(opened), gram, cross, int(document["rows"]))


def _open(digest: str) -> tensors.TensorFile:
    return tensors.open_tensors(blobs.local_path(digest), max_bytes=MAX_BYTES)


def _arrays_of(source: Standard, target: Standard) -> dict[str, Array]:
    sides = zip(SIDES, (source, target), strict=True)
    return {f"{side}_{name}": getattr(each, name) for side, each in sides for name in ("mean", "scale")}


def _standards_in(opened: tensors.TensorFile) -> tuple[Standard, Standard]:
    source, target = (Standard(opened.read(f"{side}_mean"), opened.read(f"{side}_scale")) for side in SIDES)
    return source, target
