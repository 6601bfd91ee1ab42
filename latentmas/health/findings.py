"""What an examination of a deployment can find."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"  # right for some deployments
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the deployment; `advice` says what to do where it is not ok."""

    level: Level
    what: str
    advice: str = ""


Check = Callable[[], Iterable[Finding]]


def ok(what: str) -> Finding:
    return Finding(Level.OK, what)


def note(what: str, advice: str) -> Finding:
    return Finding(Level.NOTE, what, advice)


def wrong(what: str, advice: str) -> Finding:
    return Finding(Level.WRONG, what, advice)
