"""Our own x402 facilitator, without a chain: it keeps balances and used nonces itself, and really checks signatures.

It verifies EIP-3009 `transferWithAuthorization` as the token's contract would: who signed the typed data (EIP-712, by
eth_account, not by the x402 package), the payee, the amount, the window, the nonce and the payer's balance.
"""

import json
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

from tests.marketplace.payments.gateways.answering import answer, hang_up
from tests.remote import Remote

FIELDS = ("address from", "address to", "uint256 value", "uint256 validAfter", "uint256 validBefore", "bytes32 nonce")
TYPES = {"TransferWithAuthorization": [dict(zip(("type", "name"), each.split(), strict=True)) for each in FIELDS]}
Json = dict[str, Any]


@dataclass
class Facilitator:
    """`silent` names the paths at which it hangs up: before it has done anything, or, with `after`, when it has."""

    balances: dict[str, int] = field(default_factory=dict)
    used: dict[tuple[str, str], str] = field(default_factory=dict)
    transfers: list[tuple[str, str, int]] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    after: bool = False

    def listen(self, remote: Remote) -> None:
        def respond(handler: BaseHTTPRequestHandler) -> None:
            asked = remote.asked[-1]
            if asked.path in self.silent and not self.after:
                return hang_up(handler)
            document = json.loads(asked.body)
            reply = {"/verify": self.verify, "/settle": self.settle}[asked.path](document)
            if asked.path in self.silent:
                return hang_up(handler)
            return answer(handler, 200, reply)

        remote.respond = respond

    def verify(self, document: Json) -> Json:
        signed = document["paymentPayload"]["payload"]["authorization"]
        reason = self._fault(document["paymentPayload"], document["paymentRequirements"])
        reply: Json = {"isValid": reason is None, "payer": signed["from"]}
        return reply if reason is None else reply | {"invalidReason": reason}

    def settle(self, document: Json) -> Json:
        """Carry the transfer out; one that was carried out is answered with its transaction again."""
        payload, terms = document["paymentPayload"], document["paymentRequirements"]
        signed = payload["payload"]["authorization"]
        once = (signed["from"].lower(), signed["nonce"].lower())
        reply = {"network": terms["network"], "payer": signed["from"]}
        if once in self.used:
            return reply | {"success": True, "transaction": self.used[once]}
        reason = self._fault(payload, terms)
        if reason is not None:
            return reply | {"success": False, "errorReason": reason, "transaction": ""}
        amount = int(signed["value"])
        self.balances[signed["from"].lower()] -= amount
        self.transfers.append((signed["from"].lower(), signed["to"].lower(), amount))
        self.used[once] = f"0x{len(self.used) + 1:064x}"
        return reply | {"success": True, "transaction": self.used[once]}

    def _fault(self, payload: Json, terms: Json) -> str | None:
        signed, signature = payload["payload"]["authorization"], payload["payload"]["signature"]
        payer, now = signed["from"].lower(), int(time.time())
        checks = {
            "terms": payload["accepted"] == terms and terms["scheme"] == "exact",
            "signature": _signer(signed, signature, terms) == payer,
            "payee": signed["to"].lower() == terms["payTo"].lower(),
            "amount": int(signed["value"]) == int(terms["amount"]),
            "window": int(signed["validAfter"]) <= now < int(signed["validBefore"]),
            "nonce": (payer, signed["nonce"].lower()) not in self.used,
            "balance": self.balances.get(payer, 0) >= int(terms["amount"]),
        }
        return next((f"invalid_{name}" for name, holds in checks.items() if not holds), None)


def _signer(signed: Json, signature: str, terms: Json) -> str | None:
    domain = {
        "name": terms["extra"]["name"],
        "version": terms["extra"]["version"],
        "chainId": int(terms["network"].partition(":")[2]),
        "verifyingContract": terms["asset"],
    }
    numbers = {name: int(signed[name]) for name in ("value", "validAfter", "validBefore")}
    message = signed | numbers | {"nonce": bytes.fromhex(signed["nonce"][2:])}
    try:
        return str(Account.recover_message(encode_typed_data(domain, TYPES, message), signature=signature)).lower()
    except Exception:  # whatever is wrong with a signature, nobody has signed this
        return None
