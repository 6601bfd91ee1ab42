"""A purchase that the wallet does not cover is paid in the same request by x402, once, and never by mistake."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import Client
from x402.client import x402Client
from x402.http.clients import x402HttpxClient
from x402.http.utils import decode_payment_required_header, decode_payment_response_header
from x402.mechanisms.evm.exact.register import register_exact_evm_client

from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.rest.scopes import PURCHASES_WRITE
from marketplace.accounts.commands import create_token
from marketplace.accounts.mandates import Mandate
from marketplace.payments.models import TopUp
from marketplace.sales.models import Sale
from tests.marketplace.payments.gateways.facilitator import Facilitator
from tests.marketplace.payments.gateways.test_stripe_intents import reconciled
from tests.marketplace.payments.gateways.wallets import PAYER, header, signed
from tests.marketplace.sales.toys import Toys, funds, pay_in, quoted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("facilitator")]
JSON = "application/json"
IN_WALLET, PRICE = 300, 1000
MISSING_TOKENS = (PRICE - IN_WALLET) * 10_000  # USDC has six digits


@pytest.fixture
def poor(agent_of: Callable[[str], str], maker: str) -> str:
    """An agent with 3.00 USD; the toy costs 10.00."""
    agent = agent_of("poor")
    pay_in(agent, IN_WALLET)
    return agent


@pytest.fixture
def client(poor: str, shop: Callable[[str], Client]) -> Client:
    return shop("poor")


@pytest.fixture
def token(poor: str) -> str:
    """A quote's."""
    return quoted(poor).token


def send(client: Client, token: str, payment: str | None = None, **headers: str) -> Any:
    sent = headers | ({} if payment is None else {"PAYMENT-SIGNATURE": payment})
    return client.post("/api/purchases", {"quote": token}, JSON, headers=sent)


def payment_for(client: Client, token: str) -> str:
    return header(signed(send(client, token)["PAYMENT-REQUIRED"]))


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_the_402_says_what_x402_would_pay_and_our_own_terms(client: Client, token: str, settings: Any) -> None:
    answer = send(client, token)
    assert code_of(answer) == (402, "INSUFFICIENT_FUNDS")
    document = answer.json()
    assert document["facts"]["missing"] == {"amount": PRICE - IN_WALLET, "currency": "USD"}
    required = decode_payment_required_header(answer["PAYMENT-REQUIRED"])
    said = required.model_dump(by_alias=True, exclude_none=True)
    assert {name: document[name] for name in ("x402Version", "accepts", "resource")}.items() <= said.items()
    assert (said["accepts"][0]["amount"], said["resource"]["url"]) == (
        str(MISSING_TOKENS),
        "http://testserver/api/purchases",
    )
    settings.X402_FACILITATOR_URL = None
    without = send(client, token)
    assert code_of(without) == (402, "INSUFFICIENT_FUNDS")
    assert "PAYMENT-REQUIRED" not in without
    assert "accepts" not in without.json()


def test_the_same_request_with_a_payment_is_settled_and_bought(
    client: Client,
    token: str,
    poor: str,
    facilitator: Facilitator,
) -> None:
    payment = payment_for(client, token)
    bought = send(client, token, payment)
    assert (bought.status_code, bought.json()["status"]) == (201, "captured")
    settled = decode_payment_response_header(bought["PAYMENT-RESPONSE"])
    assert (settled.success, settled.transaction) == (True, TopUp.objects.get().reference)
    assert (TopUp.objects.get().amount, funds(poor)) == (PRICE - IN_WALLET, 0)
    again = send(client, token, payment)
    assert (again.status_code, again.json()["id"]) == (200, bought.json()["id"])
    assert [amount for _, _, amount in facilitator.transfers] == [MISSING_TOKENS]


def test_an_authorisation_pays_for_one_purchase(
    client: Client,
    poor: str,
    token: str,
    facilitator: Facilitator,
) -> None:
    payment = payment_for(client, token)
    send(client, token, payment)
    pay_in(poor, IN_WALLET)
    replayed = send(client, quoted(poor).token, payment)
    assert code_of(replayed) == (409, "PAYMENT_REPLAYED")
    assert replayed.json()["facts"] == {"top_up": f"/api/top-ups/{TopUp.objects.get().id}"}
    assert (Sale.objects.count(), funds(poor), len(facilitator.transfers)) == (1, IN_WALLET, 1)


def test_a_payment_of_other_terms_is_refused_and_told_what_would_do(
    client: Client,
    poor: str,
    token: str,
    facilitator: Facilitator,
) -> None:
    payment = payment_for(client, token)
    pay_in(poor, 100)
    refused = send(client, token, payment)
    assert code_of(refused) == (402, "PAYMENT_REFUSED")
    assert (refused.json()["facts"]["reason"], refused.json()["accepts"][0]["amount"]) == ("terms", "6000000")
    assert send(client, token, header(signed(refused["PAYMENT-REQUIRED"]))).status_code == 201
    assert (len(facilitator.transfers), funds(poor)) == (1, 0)


def test_what_the_facilitator_refuses_buys_nothing(
    client: Client,
    poor: str,
    token: str,
    facilitator: Facilitator,
) -> None:
    payment = payment_for(client, token)
    facilitator.balances[PAYER.address.lower()] = 0
    assert code_of(send(client, token, payment)) == (402, "PAYMENT_REFUSED")
    facilitator.silent = {"/verify"}
    assert code_of(send(client, token, payment)) == (503, "GATEWAY_AWAY")
    assert (Sale.objects.count(), TopUp.objects.count(), funds(poor)) == (0, 0, IN_WALLET)
    facilitator.settle = lambda document: {"success": False, "errorReason": "no", "transaction": "", "network": "x"}  # type: ignore[method-assign]
    facilitator.silent, facilitator.balances = set(), {PAYER.address.lower(): 10**9}
    failed = send(client, token, payment)
    assert code_of(failed) == (402, "PAYMENT_REFUSED")
    assert decode_payment_response_header(failed["PAYMENT-RESPONSE"]).success is False
    assert (Sale.objects.count(), funds(poor)) == (0, IN_WALLET)


@pytest.mark.parametrize("after", [False, True], ids=["before it has settled", "after it has settled"])
def test_an_unknown_settlement_is_waited_for_and_not_paid_again(
    client: Client,
    poor: str,
    token: str,
    facilitator: Facilitator,
    after: bool,
) -> None:
    payment = payment_for(client, token)
    facilitator.silent, facilitator.after = {"/settle"}, after
    unsettled = send(client, token, payment)
    assert code_of(unsettled) == (409, "PAYMENT_UNSETTLED")
    assert unsettled.json()["facts"] == {"top_up": f"/api/top-ups/{TopUp.objects.get().id}"}
    assert code_of(send(client, token, payment)) == (409, "PAYMENT_UNSETTLED")
    without = send(client, token)  # who is asked to pay again here would pay twice
    assert (code_of(without), "PAYMENT-REQUIRED" in without) == ((409, "PAYMENT_UNSETTLED"), False)
    facilitator.silent = set()
    assert reconciled() == {"credited": 1}
    assert send(client, token, payment).status_code == 201
    assert ([amount for _, _, amount in facilitator.transfers], funds(poor)) == ([MISSING_TOKENS], 0)


def test_what_fails_after_the_payment_leaves_the_money_in_the_wallet_and_says_so(
    client: Client, poor: str, token: str, toys: Toys
) -> None:
    def fail(sale: str) -> None:
        raise QualityBelowThreshold("the map loses too much")

    payment = payment_for(client, token)
    toys.work = fail
    failed = send(client, token, payment)
    assert code_of(failed) == (422, "QUALITY_BELOW_THRESHOLD")
    assert "it is the wallet's" in failed.json()["detail"]
    assert failed.json()["facts"]["paid"] == {
        "amount": {"amount": PRICE - IN_WALLET, "currency": "USD"},
        "top_up": f"/api/top-ups/{TopUp.objects.get().id}",
    }
    assert decode_payment_response_header(failed["PAYMENT-RESPONSE"]).success
    assert funds(poor) == PRICE


def test_what_a_mandate_refuses_is_not_paid(poor: str, token: str, facilitator: Facilitator) -> None:
    user, limits = User.objects.get(username="poor"), Mandate("USD", budget_per_day=999)
    secret = create_token(user, name="m", scopes=[PURCHASES_WRITE], mandate=limits)[1]
    free = create_token(user, name="free", scopes=[PURCHASES_WRITE])[1]
    payment = payment_for(Client(headers={"Authorization": f"Bearer {free}"}), token)
    refused = send(Client(headers={"Authorization": f"Bearer {secret}"}), token, payment)
    assert code_of(refused) == (403, "MANDATE_BUDGET_EXCEEDED")
    assert (facilitator.transfers, TopUp.objects.count()) == ([], 0)


def test_a_key_is_answered_with_its_settlement_again(
    client: Client,
    token: str,
    facilitator: Facilitator,
) -> None:
    key = {"Idempotency-Key": "one"}
    payment = header(signed(send(client, token, **key)["PAYMENT-REQUIRED"]))
    first, again = (send(client, token, payment, **key) for _ in range(2))
    assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (201, 201, "true")
    assert (again.json(), again["PAYMENT-RESPONSE"]) == (first.json(), first["PAYMENT-RESPONSE"])
    assert len(facilitator.transfers) == 1


@pytest.mark.django_db(transaction=True)
def test_a_strangers_agent_pays_with_the_official_client(
    live_server: Any,
    poor: str,
    token: str,
    facilitator: Facilitator,
) -> None:
    secret = create_token(User.objects.get(username="poor"), name="x", scopes=[PURCHASES_WRITE])[1]
    wallet = register_exact_evm_client(x402Client(), PAYER)
    wallet.set_spend_controls({"max_amount_per_payment": "$7"})

    @async_to_sync
    async def buy() -> Any:
        headers = {"Authorization": f"Bearer {secret}"}
        async with x402HttpxClient(wallet, base_url=live_server.url, headers=headers, timeout=30) as http:
            return await http.post("/api/purchases", json={"quote": token})

    bought = buy()
    assert (bought.status_code, bought.json()["status"]) == (201, "captured")
    assert decode_payment_response_header(bought.headers["PAYMENT-RESPONSE"]).success
    assert (len(facilitator.transfers), funds(poor)) == (1, 0)
