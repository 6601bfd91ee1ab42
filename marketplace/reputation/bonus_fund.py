"""The account that bonuses are paid from, `bonuses:<currency>`: filled from the platform's, never below zero."""

from collections.abc import Sequence
from typing import Any

from latentmas.events.commands import Aggregate, execute
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.money import Money, check_currency
from marketplace.ledger import balances
from marketplace.ledger.accounts import bonuses, platform
from marketplace.ledger.events import Purpose, Transfer
from marketplace.ledger.posting import posted
from marketplace.reputation.bonus_events import BonusFundFilled
from marketplace.reputation.errors import BonusFundTooSmall
from marketplace.reputation.texts import BONUS_TEXTS
from marketplace.texts.checks import check_reason

FUND: Aggregate[Any] = Aggregate("bonus-fund", None, lambda state, recorded: state)


def fill_fund(amount: Money, *, reason: str, metadata: Metadata) -> list[Recorded]:
    """Move money of the platform's to the bonus fund. Raises InvalidInput or BonusFundTooSmall."""
    check_currency(amount.currency)
    if amount.amount <= 0:
        raise InvalidInput(f"{amount.amount} minor units fill nothing", field="amount")
    text = check_reason(reason)
    source = platform(amount.currency)

    def decide(_: object) -> Sequence[object]:
        require_held(source, amount.amount)
        moved = Transfer(source, bonuses(amount.currency), amount.amount)
        filled = BonusFundFilled(amount.currency, amount.amount, text)
        return (posted(Purpose.BONUS, [moved]), *BONUS_TEXTS.seal(amount.currency, [filled]))

    return execute(FUND, amount.currency, decide, metadata=metadata)


def require_held(account: str, amount: int) -> None:
    """Lock an account whose balance is a sum, and let an amount leave it that it holds. Raises BonusFundTooSmall."""
    balances.lock([account])  # by its name: two who take from it wait for each other
    held = balances.balance_of(account)
    if amount > held:
        raise BonusFundTooSmall(f"{account} holds {held} minor units, {amount} are needed", held=held, needed=amount)
