"""A file of what has been scored already, a line a passage, so that a long measurement goes on where it stopped.

The file's name stands for everything that the scores depend on; a torn last line, from a run that was killed, is
measured again.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from factory.measurement.arms import Scored
from latentmas.protocol.errors import StorageUnavailable
from latentmas.protocol.quality import DocumentScore

Key = tuple[str | None, int | None, str]  # register, length, document


@dataclass(slots=True)
class Journal:
    """Scores by register, length and document. Without a path nothing is kept."""

    path: Path | None = None
    _known: dict[Key, Scored] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is not None and self.path.exists():
            text = self.path.read_text(encoding="utf-8")
            for line in text.splitlines():
                self._remember(line)
            if text and not text.endswith("\n"):
                with self.path.open("a", encoding="utf-8") as file:
                    file.write("\n")  # what follows must not be part of the torn line

    def get(self, key: Key) -> Scored | None:
        """Return what was scored before, None for what was not."""
        return self._known.get(key)

    def add(self, scored: Scored) -> None:
        """Keep a score. Raises StorageUnavailable where the file cannot be written."""
        self._known[_key(scored.score)] = scored
        if self.path is None:
            return
        line = line_of(scored)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise StorageUnavailable(f"the scores could not be kept: {error}") from error

    def take(self, lines: str) -> None:
        """Keep the scores that somebody else has measured, lines of `line_of`. Raises StorageUnavailable."""
        other = Journal()
        for line in lines.splitlines():
            other._remember(line)
        for key, scored in other._known.items():
            if key not in self._known:
                self.add(scored)

    def _remember(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return  # torn
        score = msgspec.convert(entry["score"], DocumentScore)
        fidelity = None if entry["fidelity"] is None else np.array(entry["fidelity"])
        self._known[_key(score)] = Scored(score, fidelity)


def line_of(scored: Scored) -> str:
    """Return a score as a line of the file."""
    fidelity = None if scored.fidelity is None else scored.fidelity.tolist()
    return json.dumps({"score": msgspec.to_builtins(scored.score), "fidelity": fidelity})


def _key(score: DocumentScore) -> Key:
    return score.register, score.length, score.document
