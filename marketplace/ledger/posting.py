"""What transfers may be posted. Pure."""

from collections.abc import Iterable, Mapping

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.money import Money
from marketplace.ledger.accounts import currency_of
from marketplace.ledger.errors import InsufficientFunds, WrongCurrency
from marketplace.ledger.events import Posted, Purpose, Transfer


def posted(purpose: Purpose, transfers: Iterable[Transfer]) -> Posted:
    """Return the event of these transfers; those of nothing are left out. Raises InvalidInput or WrongCurrency."""
    kept = tuple(each for each in transfers if each.amount != 0)
    for each in kept:
        if each.amount < 0:
            raise InvalidInput(f"{each.amount} minor units cannot be transferred; a transfer is above zero")
        if currency_of(each.debit) != currency_of(each.credit):
            raise WrongCurrency(f"a transfer from {each.debit} to {each.credit} would change the currency")
    return Posted(purpose, kept)


def postings(purpose: Purpose, transfers: Iterable[Transfer]) -> tuple[Posted, ...]:
    """Return the event of these transfers, none where they move nothing. Raises as `posted` does."""
    event = posted(purpose, transfers)
    return (event,) if event.transfers else ()


def check_covered(account: str, amount: int, balances: Mapping[str, int]) -> None:
    """Let an amount leave an account whose locked balance covers it. Raises InsufficientFunds."""
    held = balances[account]
    if amount > held:
        currency = currency_of(account)
        raise InsufficientFunds(balance=Money(held, currency), needed=Money(amount, currency))


def reversed_of(transfers: Iterable[Transfer]) -> tuple[Transfer, ...]:
    """Return the transfers that undo these."""
    return tuple(Transfer(each.credit, each.debit, each.amount) for each in transfers)
