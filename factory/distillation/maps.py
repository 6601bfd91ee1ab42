"""Distilled maps as files: those that come with the project, and those that were distilled on this machine.

A file is named by its SHA-256 and says of which weights it is and how it was made. It is a draft like any other: what
it keeps is measured where it is used, and only that is certified.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput, StorageUnavailable
from latentmas.protocol.tensors import Array

SHIPPED = Path(__file__).parents[1] / "data" / "maps"
FOLDER = "distilled"  # below the cache folder
SUFFIX = ".safetensors"
MAX_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Origin:
    """The digests of the weights that a map is of, and the settings that it was made with."""

    source_weights: str
    target_weights: str
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class DistilledMap:
    """A map's file, named by its SHA-256."""

    path: Path
    origin: Origin

    def read(self) -> dict[str, Array]:
        """Return all arrays of a W-Matrix's file, its sinks among them. InvalidInput where the file was changed."""
        found = _digest_of(self.path)
        if found != self.path.stem:
            raise InvalidInput(f"the file {self.path.name} has the SHA-256 {found}; it was changed or is incomplete")
        opened = tensors.open_tensors(self.path, max_bytes=MAX_BYTES)
        return {name: opened.read(name) for name in opened.tensors}


def find_map(source_weights: str, target_weights: str, *, cache: Path) -> DistilledMap | None:
    """Return the map between two models of just these weights; the last that was distilled here comes first."""
    for each in (*_in(cache / FOLDER), *_in(SHIPPED)):
        if (each.origin.source_weights, each.origin.target_weights) == (source_weights, target_weights):
            return each
    return None


def keep_map(arrays: Mapping[str, Array], origin: Origin, *, cache: Path) -> DistilledMap:
    """Keep a map for `find_map`. Raises StorageUnavailable."""
    folder = cache / FOLDER
    path = write_file(folder, arrays, msgspec.to_builtins(origin), name=lambda file: f"{_digest_of(file)}{SUFFIX}")
    return DistilledMap(path, origin)


def write_file(
    folder: Path, arrays: Mapping[str, Array], document: Mapping[str, Any], *, name: Callable[[Path], str]
) -> Path:
    """Write a file whole and give it its name, which may depend on it. Raises StorageUnavailable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            tensors.write(cast(BinaryIO, file), arrays, document)
        written = Path(file.name)
        return written.replace(folder / name(written))
    except OSError as error:
        raise StorageUnavailable(f"a file could not be kept in {folder}: {error.strerror}") from error


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in(folder: Path) -> Iterator[DistilledMap]:
    """Yield a folder's maps, the newest first."""
    for path in sorted(folder.glob(f"*{SUFFIX}"), key=lambda each: each.stat().st_mtime, reverse=True):
        document = tensors.open_tensors(path, max_bytes=MAX_BYTES).document
        yield DistilledMap(path, msgspec.convert(document, Origin))
