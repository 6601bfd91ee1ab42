"""The state of a training on disk, so that one that broke off goes on from there."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from factory.distillation.maps import FOLDER, MAX_BYTES, SUFFIX, Origin, write_file
from latentmas.protocol import tensors
from latentmas.protocol.canonical import canonical
from latentmas.protocol.errors import StorageUnavailable
from latentmas.protocol.tensors import Array


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A file of all that a training's next step depends on."""

    path: Path

    @classmethod
    def of(cls, origin: Origin, *, cache: Path) -> "Unfinished":
        """Return the place of the training of a map of this origin, whose settings name all that it depends on."""
        key = hashlib.sha256(canonical(msgspec.to_builtins(origin))).hexdigest()
        return cls(cache / FOLDER / "unfinished" / f"{key}{SUFFIX}")

    def read(self) -> dict[str, Array] | None:
        """Return what was kept last, None where there is nothing."""
        if not self.path.exists():
            return None
        opened = tensors.open_tensors(self.path, max_bytes=4 * MAX_BYTES)
        return {name: opened.read(name) for name in opened.tensors}

    def keep(self, state: Mapping[str, Array]) -> None:
        """Keep a state in place of the one before. Raises StorageUnavailable."""
        write_file(self.path.parent, state, {}, name=lambda _file: self.path.name)

    def remove(self) -> None:
        """Remove what was kept. Raises StorageUnavailable."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageUnavailable(f"{self.path} could not be removed: {error.strerror}") from error
