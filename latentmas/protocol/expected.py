"""What a context of a given length may expect, by the cells of an evaluation suite at the length that covers it."""

from collections.abc import Iterable
from dataclasses import dataclass

from latentmas.protocol.quality import Cell, Interval, SuiteFigures, TokenMode

FIGURES = {
    TokenMode.TOKENS_KNOWN: "aligned",
    TokenMode.READ_IN_PLACE: "in_place",
    TokenMode.SOURCE_TOKENS: "source_tokens",
}


@dataclass(frozen=True, slots=True)
class RegisterRetention:
    """The retention of one register at one length."""

    register: str
    retention: Interval


@dataclass(frozen=True, slots=True)
class Expected:
    """The measured registers of a suite at one length: all of them, their mean, and the worst by its lower end."""

    length: int
    registers: tuple[RegisterRetention, ...]

    @property
    def worst(self) -> RegisterRetention:
        return min(self.registers, key=lambda each: each.retention.low)

    @property
    def mean(self) -> float:
        return sum(each.retention.value for each in self.registers) / len(self.registers)


def covering(lengths: Iterable[int], tokens: int | None) -> int | None:
    """Return the smallest length that covers so many tokens, None beyond them all; the shortest where none is given."""
    return min((length for length in lengths if length >= (tokens or 0)), default=None)


def expected(suite: SuiteFigures, tokens: int | None, *, mode: TokenMode = TokenMode.TOKENS_KNOWN) -> Expected | None:
    """Return what a context of so many tokens may expect in a mode, or None where nothing covers it or was measured."""
    length = covering(suite.lengths, tokens)
    if length is None:
        return None
    measured = [(cell.register, retention_in(cell, mode)) for cell in suite.at(length)]
    registers = tuple(RegisterRetention(name, found) for name, found in measured if found is not None)
    return Expected(length, registers) if registers else None


def retention_in(cell: Cell, mode: TokenMode) -> Interval | None:
    """Return a cell's retention in a mode; one never stands in for the other."""
    found: Interval | None = getattr(cell, FIGURES[mode])
    return found
