"""What can go wrong where money moves; the ledger is then untouched."""

from dataclasses import asdict

from latentmas.protocol.errors import InvalidInput, LatentMASError
from latentmas.protocol.money import Money


class InsufficientFunds(LatentMASError):
    """The wallet has less than is asked of it."""

    code = "INSUFFICIENT_FUNDS"
    status = 402
    title = "The wallet does not cover this"
    resolution = "Top it up with POST /api/top-ups, and send the request again."

    def __init__(self, *, balance: Money, needed: Money) -> None:
        self.missing = Money(needed.amount - balance.amount, needed.currency)
        super().__init__(
            f"the wallet holds {balance.amount} {balance.currency}, {needed.amount} {needed.currency} is needed",
            balance=asdict(balance),
            needed=asdict(needed),
            missing=asdict(self.missing),
        )


class WrongCurrency(InvalidInput):
    """Money does not change its currency on its way."""

    code = "WRONG_CURRENCY"
    title = "The currencies differ"
    resolution = "Use a wallet in the currency of the price."


class OwnMoney(LatentMASError):
    """A curator may not decide about money of an agent that he acts for himself."""

    code = "OWN_MONEY"
    status = 403
    title = "This is your own money"
    resolution = "Ask another curator."
