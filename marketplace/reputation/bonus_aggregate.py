"""The bonus aggregate: the state of a stream `bonus/<agent>-<period>-<kind>-<currency>`, and its events. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from latentmas.events.commands import Aggregate
from latentmas.events.types import Recorded
from marketplace.ledger.accounts import bonuses, wallet
from marketplace.ledger.events import Purpose, Transfer
from marketplace.ledger.posting import posted
from marketplace.reputation.bonus_events import BonusGranted, BonusTakenBack


@dataclass(frozen=True, slots=True)
class BonusState:
    granted: BonusGranted | None = None
    taken_back: int = 0


def evolve(state: BonusState, recorded: Recorded) -> BonusState:
    match recorded.data:
        case BonusGranted() as granted:
            return replace(state, granted=granted)
        case BonusTakenBack(amount=amount):
            return replace(state, taken_back=state.taken_back + amount)
    return state


BONUS = Aggregate("bonus", BonusState(), evolve)


def bonus_id(granted: BonusGranted) -> str:
    return f"{granted.agent}-{granted.period}-{granted.kind.value}-{granted.currency}"


def amount_of(basis: int, percent: int) -> int:
    """Return a bonus in minor units, rounded down; nothing of less than nothing."""
    return max(0, basis) * percent // 100


def decide_grant(state: BonusState, granted: BonusGranted) -> Sequence[object]:
    """Grant a bonus, once. The caller has locked the fund, and checked that it covers the amount."""
    if state.granted is not None:
        return ()
    paid = Transfer(bonuses(granted.currency), wallet(granted.agent, granted.currency), granted.amount)
    return (posted(Purpose.BONUS, [paid]), granted)


def decide_take_back(state: BonusState, *, basis: int) -> Sequence[object]:
    """Put back what a bonus is too high by, now that only so much of its basis is left; nothing where it is not."""
    if (granted := state.granted) is None:
        return ()
    surplus = granted.amount - state.taken_back - amount_of(basis, granted.percent)
    if surplus <= 0:
        return ()
    back = Transfer(wallet(granted.agent, granted.currency), bonuses(granted.currency), surplus)
    return (posted(Purpose.BONUS, [back]), BonusTakenBack(basis, surplus))
