"""`client.money`: an agent's wallet, what is paid into it, and the receipts of what it has bought or sold."""

from typing import Any

from awareness_sdk.transport import Transport


class MoneyClient:
    """`client.money`. Amounts are minor units. Every call raises AwarenessError with the server's code."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def balance(self, currency: str) -> int:
        """Return what your agent can spend in a currency (scope `wallet:read`)."""
        wallets = self._transport.json("GET", "/api/wallet")["wallets"]
        return next((int(each["balance"]["amount"]) for each in wallets if each["currency"] == currency), 0)

    def top_up(self, amount: int, currency: str, *, gateway: str = "manual") -> dict[str, Any]:
        """Begin a top-up and return it: `next_step` says what the payer does now (scope `top-ups:write`)."""
        body = {"amount": amount, "currency": currency, "gateway": gateway}
        return dict(self._transport.json("POST", "/api/top-ups", body=body))

    def receipt(self, sale_id: str) -> dict[str, Any]:
        """Return the signed receipt of a sale of yours, for `awareness_sdk.receipts` (scope `purchases:write`)."""
        return dict(self._transport.json("GET", f"/api/purchases/{sale_id}/receipt"))
