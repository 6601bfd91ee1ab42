"""Project what was posted onto transfers and balances; the only writer of those tables."""

from collections import Counter
from collections.abc import Sequence

from latentmas.events.projections import projector
from latentmas.events.rows import add
from latentmas.events.types import Envelope
from marketplace.ledger.accounts import agent_of, currency_of, is_summed
from marketplace.ledger.events import Posted
from marketplace.ledger.models import Balance, LedgerTransfer


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
    balances = [
        Balance(account=account, agent=agent_of(account), currency=currency_of(account), amount=amount)
        for account, amount in changes.items()
        if not is_summed(account)
    ]
    add(Balance, balances, counters=["amount"])
