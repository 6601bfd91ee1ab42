"""The figures that bonuses depend on, one set for each version of the configuration. Pure.

Every bonus is a part of the platform's share of certain sales, and all of them together are never more than that
share: who sells to himself to earn bonuses loses by it.
"""

from dataclasses import dataclass
from enum import StrEnum

from latentmas.protocol.errors import InvalidInput


class BonusKind(StrEnum):
    """What a bonus is for (specification 7.4.4)."""

    QUALITY = "quality"  # supply: what is measured well and much used earns more
    FIRST_PURCHASES = "first-purchases"  # demand: an agent's first purchases cost less
    VOLUME = "volume"  # demand: a discount for much, credited back


@dataclass(frozen=True, slots=True)
class Incentives:
    """The share of the platform's that each kind gives back, and from when on. All are off: 0 per cent."""

    quality_percent: int = 0  # of the platform's share of an agent's sales in a month
    quality_bar: int = 800_000  # the mean of its measured lower ends, in millionths, must reach this
    quality_uses: int = 100  # and so many of its goods must have been bought in the month
    first_purchases_percent: int = 0  # of the platform's share of an agent's first purchases
    first_purchases: int = 3  # so many of them, from its first one ever
    volume_percent: int = 0  # of the platform's share of an agent's purchases in a month
    volume_purchases: int = 100  # where there are so many or more


BOUNDS = {
    "quality_percent": (0, 100),
    "quality_bar": (0, 1_000_000),
    "quality_uses": (1, 10**9),
    "first_purchases_percent": (0, 100),
    "first_purchases": (1, 1_000),
    "volume_percent": (0, 100),
    "volume_purchases": (1, 10**9),
}
PERCENTS = ("quality_percent", "first_purchases_percent", "volume_percent")


def check_together(incentives: Incentives) -> None:
    """Let per cents pass that give back no more than the platform's whole share. Raises InvalidInput."""
    total = sum(getattr(incentives, name) for name in PERCENTS)
    if total > 100:
        raise InvalidInput(
            f"the bonuses give back {total} per cent of the platform's share together; at most 100", field=PERCENTS[0]
        )


def percent_of(kind: BonusKind, incentives: Incentives) -> int:
    """Return the share of the platform's that a kind gives back, in per cent."""
    match kind:
        case BonusKind.QUALITY:
            return incentives.quality_percent
        case BonusKind.FIRST_PURCHASES:
            return incentives.first_purchases_percent
        case BonusKind.VOLUME:
            return incentives.volume_percent
