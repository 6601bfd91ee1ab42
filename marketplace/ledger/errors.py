"""What can go wrong where money moves; the ledger is then untouched."""

from latentmas.protocol.errors import InvalidInput, LatentMASError


class InsufficientFunds(LatentMASError):
    """The wallet has less than is asked of it."""

    code = "INSUFFICIENT_FUNDS"
    status = 402
    title = "The wallet does not cover this"
    resolution = "Top it up with POST /api/top-ups, and send the request again."


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
