"""The names of the ledger's accounts. Each has one currency, the last part of its name.

| account | what it holds | its balance |
|---|---|---|
| `wallet:<agent>:<currency>` | what an agent owns | a row, locked to spend; below zero only after a refund |
| `hold:<sale>:<currency>` | what a buyer has set aside for one sale | a row |
| `dispute:<sale>:<currency>` | what of a seller's share may have to be given back | a row |
| `payout:<payout>:<currency>` | what is on its way to an agent's bank | a row |
| `platform:<currency>` | the platform's share | the sum of its transfers: many sales at once never wait for it |
| `validators:<currency>` | the validators' share of what nobody independent has certified | the sum |
| `bonuses:<currency>` | what the operator has set aside for bonuses | the sum |
| `gateway:<name>:<currency>` | the world outside; as far below zero as money came in by it | the sum |
"""

SUMMED = ("platform:", "validators:", "bonuses:", "gateway:")


def wallet(agent: str, currency: str) -> str:
    return f"wallet:{agent}:{currency}"


def hold(sale: str, currency: str) -> str:
    return f"hold:{sale}:{currency}"


def dispute(sale: str, currency: str) -> str:
    return f"dispute:{sale}:{currency}"


def payout(payout_id: str, currency: str) -> str:
    return f"payout:{payout_id}:{currency}"


def platform(currency: str) -> str:
    return f"platform:{currency}"


def validators(currency: str) -> str:
    return f"validators:{currency}"


def bonuses(currency: str) -> str:
    return f"bonuses:{currency}"


def gateway(name: str, currency: str) -> str:
    return f"gateway:{name}:{currency}"


def currency_of(account: str) -> str:
    return account.rpartition(":")[2]


def kind_of(account: str) -> str:
    """Return the first part of an account's name: all that a counterparty's statement may say of it."""
    return account.partition(":")[0]


def agent_of(account: str) -> str | None:
    """Return whose wallet an account is, None for any other account."""
    kind, _, rest = account.partition(":")
    return rest.rpartition(":")[0] if kind == "wallet" else None


def is_summed(account: str) -> bool:
    """Return whether the account has no row of its own."""
    return account.startswith(SUMMED)
