"""Project what was posted onto transfers and balances; the only writer of those tables."""

from collections import Counter
from collections.abc import Sequence

from django.db import connection

from latentmas.events.projections import projector
from latentmas.events.types import Envelope
from marketplace.ledger.accounts import agent_of, currency_of, is_summed
from marketplace.ledger.events import Posted
from marketplace.ledger.models import Balance, LedgerTransfer

# One statement a batch, rows in the order of their names: two writers that touch the same ones queue up.
ADD = """
INSERT INTO ledger_balance (account, agent, currency, amount) VALUES {}
ON CONFLICT (account) DO UPDATE SET amount = ledger_balance.amount + excluded.amount
"""


@projector(writes=[Balance, LedgerTransfer], handles=[Posted])
def project_postings(events: Sequence[Envelope]) -> None:
    """Insert the transfers, and add what they change to the balances. Sums do not depend on the order of streams."""
    changes = Counter[str]()
    rows = []
    for event in events:
        for place, each in enumerate(event.data.transfers):
            rows.append(
                LedgerTransfer(
                    id=f"{event.event_id}:{place}",
                    stream=event.stream,
                    purpose=event.data.purpose.value,
                    debit=each.debit,
                    credit=each.credit,
                    amount=each.amount,
                    currency=currency_of(each.debit),
                    at=event.recorded_at,
                )
            )
            changes[each.debit] -= each.amount
            changes[each.credit] += each.amount
    LedgerTransfer.objects.bulk_create(rows)
    _add([(account, amount) for account, amount in sorted(changes.items()) if not is_summed(account)])


def _add(changes: Sequence[tuple[str, int]]) -> None:
    if not changes:
        return
    values = [
        value for account, amount in changes for value in (account, agent_of(account), currency_of(account), amount)
    ]
    with connection.cursor() as cursor:
        cursor.execute(ADD.format(", ".join(["(%s, %s, %s, %s)"] * len(changes))), values)
