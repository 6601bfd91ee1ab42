"""Semantic versions of W-Matrices and their compatibility (specification 2.1)."""

import re
from dataclasses import dataclass

from latentmas.protocol.errors import InvalidInput

PATTERN = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def parse_version(text: str) -> Version:
    """Return MAJOR.MINOR.PATCH as a value. Raises InvalidInput."""
    match = PATTERN.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{text!r} is not a version; write MAJOR.MINOR.PATCH, such as 1.0.0", field="version")
    return Version(*map(int, match.groups()))


def is_compatible(required: Version, available: Version) -> bool:
    """Return whether `available` can stand in for `required`: same major version, and not older."""
    return available.major == required.major and available >= required
