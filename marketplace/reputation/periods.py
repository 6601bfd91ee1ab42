"""The months that bonuses are granted for, in UTC. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from latentmas.protocol.errors import InvalidInput

MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """A month, from `begins` up to but without `ends`."""

    name: str  # YYYY-MM
    begins: datetime
    ends: datetime


def period_of(name: str) -> Period:
    """Return the month of a name such as 2026-10. Raises InvalidInput."""
    found = MONTH.fullmatch(name)
    if found is None:
        raise InvalidInput(f"{name[:20]!r} is not a month; write it like 2026-10", field="period")
    begins = datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)
    return Period(name, begins, _first_of(begins + timedelta(days=31)))


def last_ended(at: datetime) -> Period:
    """Return the month before that of a moment."""
    return period_of(f"{_first_of(at.astimezone(UTC)) - timedelta(days=1):%Y-%m}")


def _first_of(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
