"""Whether the ledger adds up: balances against transfers, and the sum over all accounts. It reads every transfer."""

from collections import Counter
from collections.abc import Iterator, Mapping

from django.db.models import Sum

from marketplace.ledger.accounts import currency_of, is_summed, kind_of
from marketplace.ledger.models import Balance, LedgerTransfer

NEVER_BELOW_ZERO = ("hold", "payout", "dispute")


def ledger_faults() -> Iterator[str]:
    """Yield a sentence for everything that does not add up; nothing is changed.

    That the transfers are those of the log is for `rebuild_projections --check` to say.
    """
    moved = _moved()
    held = {row.account: row for row in Balance.objects.order_by("account")}
    for account, row in held.items():
        if row.amount != moved[account]:
            yield f"{account} has {row.amount}; its transfers make {moved[account]}"
        if row.currency != currency_of(account):
            yield f"{account} is said to be in {row.currency}"
        if row.amount < 0 and kind_of(account) in NEVER_BELOW_ZERO:
            yield f"{account} is below zero: {row.amount}"
    for account in sorted(set(moved) - set(held)):
        if not is_summed(account):
            yield f"{account} has transfers and no balance"
    totals = currency_totals(moved, {account: row.amount for account, row in held.items()})
    yield from (f"the accounts in {currency} add up to {total}, not 0" for currency, total in totals.items() if total)


def currency_totals(moved: Mapping[str, int], held: Mapping[str, int]) -> Counter[str]:
    """Return the sum over all accounts of each currency: rows as they stand, the others by their transfers."""
    totals = Counter[str]()
    for account, amount in held.items():
        totals[currency_of(account)] += amount
    for account, amount in moved.items():
        if is_summed(account):
            totals[currency_of(account)] += amount
    return totals


def _moved() -> Counter[str]:
    moved = Counter[str]()
    rows = LedgerTransfer.objects.order_by()
    for account, amount in rows.values_list("credit").annotate(total=Sum("amount")):
        moved[account] += amount
    for account, amount in rows.values_list("debit").annotate(total=Sum("amount")):
        moved[account] -= amount
    return moved
