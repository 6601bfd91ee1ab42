"""Credit an agent's wallet with money that has come in outside this product."""

from argparse import ArgumentParser
from typing import Any

from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand
from latentmas.protocol.money import Money
from marketplace.agents.queries import get_agent
from marketplace.ledger.accounts import wallet
from marketplace.ledger.balances import balance_of
from marketplace.payments.by_hand import top_up_by_hand


class Command(OperatorCommand):
    help = "Credit an agent's wallet by hand, for a reason."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("agent", help="the agent's id")
        parser.add_argument("amount", type=int, help="minor units, such as 5000 for 50.00")
        parser.add_argument("currency", help="such as USD")
        parser.add_argument("--reason", required=True, help="by which payment the money has come in")

    def handle(self, *args: Any, agent: str, amount: int, currency: str, reason: str, **options: Any) -> None:
        row = get_agent(agent)
        made = top_up_by_hand(row, Money(amount, currency), reason=reason, metadata=Metadata(actor="command:top_up"))
        self.stdout.write(f"Top-up {made}: the wallet holds {balance_of(wallet(agent, currency))} {currency}.")
