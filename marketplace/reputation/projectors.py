"""Project what agents have done, reviews, bonuses and configurations; the only writer of their tables."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from django.db import connection

from latentmas.events.projections import projector
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
# One statement a batch, rows in the order of their names: two writers that touch the same ones queue up.
COUNT = f"""
INSERT INTO reputation_agentrecord (agent, {", ".join(COUNTERS)}) VALUES {{}}
ON CONFLICT (agent) DO UPDATE SET
{", ".join(f"{name} = reputation_agentrecord.{name} + excluded.{name}" for name in COUNTERS)}
"""  # noqa: S608 - the names are constants
EARN = """
INSERT INTO reputation_agentrevenue (id, agent, currency, amount) VALUES {}
ON CONFLICT (id) DO UPDATE SET amount = reputation_agentrevenue.amount + excluded.amount
"""


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
    values: list[str | int] = []
    agents = groupby(sorted(changes.items()), key=lambda change: change[0][0])
    for agent, counted in agents:
        by_column = {column: amount for (_, column), amount in counted}
        values += [agent, *(by_column.get(name, 0) for name in COUNTERS)]
    _execute(COUNT, values, columns=1 + len(COUNTERS))


@projector(writes=[AgentRevenue], handles=[SaleCaptured, Posted])
def project_revenue(events: Sequence[Envelope]) -> None:
    """Add what sales bring into agents' wallets, whatever their part in them; refunds take it back."""
    changes = Counter[tuple[str, str]]()
    for event in events:
        for account, amount in _earned(event):
            if agent := agent_of(account):
                changes[agent, currency_of(account)] += amount
    rows = sorted(changes.items())
    values = [value for (agent, currency), amount in rows for value in (f"{agent}:{currency}", agent, currency, amount)]
    _execute(EARN, values, columns=4)


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


def _execute(statement: str, values: Sequence[str | int], *, columns: int) -> None:
    if not values:
        return
    row = f"({', '.join(['%s'] * columns)})"
    with connection.cursor() as cursor:
        cursor.execute(statement.format(", ".join([row] * (len(values) // columns))), values)
