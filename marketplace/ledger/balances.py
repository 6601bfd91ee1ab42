"""Balances: read them, and lock them before a command decides on them."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q, QuerySet, Sum

from latentmas.events.statements import lock_names
from marketplace.ledger.accounts import is_summed
from marketplace.ledger.events import Purpose
from marketplace.ledger.models import Balance, LedgerTransfer

ACCOUNTS = 2907411  # the seed of their locks


@dataclass(frozen=True, slots=True)
class Holdings:
    """What one wallet holds, and what of it was put aside and is not settled yet; in minor units."""

    currency: str
    balance: int
    held: int
    disputed: int
    paying_out: int


def lock(accounts: Collection[str]) -> dict[str, int]:
    """Return the balances of accounts with a row, held against other writers until the transaction ends.

    Call it in the command's transaction, after its streams are locked and once for all accounts, so that no two
    commands wait for each other. An account that nothing has touched yet has 0 and is locked by its name.
    """
    wanted = set(accounts)
    lock_names(wanted, seed=ACCOUNTS)
    rows = Balance.objects.filter(account__in=wanted).values_list("account", "amount")
    return dict.fromkeys(wanted, 0) | dict(rows)


def balance_of(account: str) -> int:
    """Return what an account holds, in minor units."""
    if not is_summed(account):
        return Balance.objects.filter(account=account).values_list("amount", flat=True).first() or 0
    return moved_by(LedgerTransfer.objects.all(), account)


def moved_by(transfers: QuerySet[LedgerTransfer], account: str) -> int:
    """Return what came to an account by these transfers, less what went."""
    both = transfers.filter(Q(credit=account) | Q(debit=account)).aggregate(
        came=Sum("amount", filter=Q(credit=account)), went=Sum("amount", filter=Q(debit=account))
    )
    return (both["came"] or 0) - (both["went"] or 0)


def set_aside(account: str, purpose: Purpose) -> int:
    """Return what a wallet has put on other accounts for a purpose, such as a hold, and what still lies there."""
    others = LedgerTransfer.objects.filter(debit=account, purpose=purpose.value).values("credit")
    return Balance.objects.filter(account__in=others).aggregate(total=Sum("amount"))["total"] or 0


def wallets_of(agent: str) -> list[Balance]:
    """Return an agent's wallets, by currency."""
    return list(Balance.objects.filter(agent=agent).order_by("currency"))


def holdings_of(agent: str) -> list[Holdings]:
    """Return what an agent's wallets hold, by currency; three queries a wallet."""
    return [
        Holdings(
            row.currency,
            row.amount,
            held=set_aside(row.account, Purpose.HOLD),
            disputed=set_aside(row.account, Purpose.DISPUTE),
            paying_out=set_aside(row.account, Purpose.PAYOUT),
        )
        for row in wallets_of(agent)
    ]
