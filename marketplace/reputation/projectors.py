"""Project what agents have done, reviews, bonuses and configurations; the only writer of their tables."""

from collections import Counter
from collections.abc import Sequence

from latentmas.events.projections import projector
from latentmas.events.rows import add
from latentmas.events.types import Envelope
from marketplace.configurations.rows import insert_versions
from marketplace.ledger.accounts import agent_of, currency_of
from marketplace.ledger.events import Posted
from marketplace.reputation import bonus_projectors, review_projector  # noqa: F401 - they register theirs
from marketplace.reputation.bonus_events import BonusesConfigured
from marketplace.reputation.counted_items import ITEM_EVENTS, count_items
from marketplace.reputation.counted_sales import SALE_EVENTS, count_sales, is_refund
from marketplace.reputation.events import CreditConfigured
from marketplace.reputation.models import (
    AgentRecord,
    AgentRevenue,
    CountedItem,
    CountedSale,
    CountedVersion,
    CreditConfigurationVersion,
    IncentivesVersion,
)
from marketplace.sales.events import SaleCaptured

COUNTERS = ("created", "measured", "quality", "sold", "reviews", "ratings")


@projector(
    writes=[AgentRecord, CountedItem, CountedVersion, CountedSale],
    handles=[*ITEM_EVENTS, *SALE_EVENTS],
)
def project_records(events: Sequence[Envelope]) -> None:
    """Change the rows that count, and add what that changes to the counters. Sums do not depend on the order."""
    changes = Counter[tuple[str, str]]()
    for types, count in ((ITEM_EVENTS, count_items), (SALE_EVENTS, count_sales)):
        if its := [event for event in events if isinstance(event.data, types)]:  # a purchase asks nothing about items
            changes.update(count(its))  # adds
    records: dict[str, AgentRecord] = {}
    for (agent, column), amount in changes.items():
        setattr(records.setdefault(agent, AgentRecord(agent=agent)), column, amount)
    add(AgentRecord, records.values(), counters=COUNTERS)


@projector(writes=[AgentRevenue], handles=[SaleCaptured, Posted])
def project_revenue(events: Sequence[Envelope]) -> None:
    """Add what sales bring into agents' wallets, whatever their part in them; refunds take it back."""
    changes = Counter[tuple[str, str]]()
    for event in events:
        for account, amount in _earned(event):
            if agent := agent_of(account):
                changes[agent, currency_of(account)] += amount
    rows = [
        AgentRevenue(id=f"{agent}:{currency}", agent=agent, currency=currency, amount=amount)
        for (agent, currency), amount in changes.items()
    ]
    add(AgentRevenue, rows, counters=["amount"])


@projector(writes=[CreditConfigurationVersion], handles=[CreditConfigured])
def project_credit_configuration(events: Sequence[Envelope]) -> None:
    insert_versions(CreditConfigurationVersion, events)


@projector(writes=[IncentivesVersion], handles=[BonusesConfigured])
def project_incentives(events: Sequence[Envelope]) -> None:
    insert_versions(IncentivesVersion, events)


def _earned(event: Envelope) -> list[tuple[str, int]]:
    if isinstance(event.data, SaleCaptured):
        return [(share.account, share.amount) for share in event.data.shares]
    if is_refund(event):
        return [(each.debit, -each.amount) for each in event.data.transfers]
    return []
