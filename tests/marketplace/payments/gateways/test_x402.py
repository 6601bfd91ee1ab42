"""x402: the official client pays, our facilitator checks, and no authorisation counts twice."""

import time

import httpx
import pytest
from django.contrib.auth.models import User

from latentmas import outbound
from latentmas.events.models import Event
from latentmas.rest.scopes import TOP_UPS_WRITE
from marketplace.payments.by_hand import credit_top_up
from marketplace.payments.models import HeldAuthorisation, TopUp
from tests.marketplace.conftest import client_of
from tests.marketplace.payments.conftest import CURATOR
from tests.marketplace.payments.gateways.conftest import TOP_UPS
from tests.marketplace.payments.gateways.test_stripe_intents import reconciled
from tests.marketplace.payments.gateways.wallets import ASSET, PAY_TO, PAYER, STRANGER, header, signed

pytestmark = pytest.mark.django_db
WANTED = {"amount": 5000, "currency": "USD", "gateway": "x402"}
TOKENS = 50_000_000  # 50.00 in USDC's six digits
LEFT = 100_000_000 - TOKENS


@pytest.fixture
def required(facilitator, payer, agent) -> str:
    return payer.post(TOP_UPS, WANTED, "application/json")["PAYMENT-REQUIRED"]


@pytest.fixture
def pay(payer):
    """Sends a top-up with a payment."""

    def pay(payload, client=None, **changes):
        headers = {"PAYMENT-SIGNATURE": payload if isinstance(payload, str) else header(payload)}
        return (client or payer).post(TOP_UPS, WANTED | changes, "application/json", headers=headers)

    return pay


def altered(payload, **changes):
    """The payment with another authorisation under the same signature."""
    authorization = payload.payload["authorization"] | changes
    return payload.model_copy(update={"payload": payload.payload | {"authorization": authorization}})


def forms(payload, now):
    """Payments that somebody has tampered with, and why each is refused."""
    other_nonce, other_payer = "0x" + "ab" * 32, STRANGER.address
    terms = payload.accepted
    return {
        "signature": altered(payload, nonce=other_nonce),
        "payer": altered(payload, **{"from": other_payer}),
        "payee": altered(payload, to="0x" + "33" * 20),
        "amount": altered(payload, value=str(TOKENS - 1)),
        "later": altered(payload, validAfter=str(now + 60)),
        "over": altered(payload, validBefore=str(now - 1)),
        "longer": altered(payload, validBefore=str(now + 10**6)),
        "terms": payload.model_copy(update={"accepted": terms.model_copy(update={"amount": "1"})}),
        "recipient": payload.model_copy(update={"accepted": terms.model_copy(update={"pay_to": "0x" + "33" * 20})}),
        "network": payload.model_copy(update={"accepted": terms.model_copy(update={"network": "eip155:1"})}),
        "asset": payload.model_copy(update={"accepted": terms.model_copy(update={"asset": PAY_TO})}),
    }


REASONS = {
    "signature": "invalid_signature",
    "payer": "invalid_signature",
    "payee": "payee",
    "amount": "amount",
    "later": "window",
    "over": "window",
    "longer": "invalid_signature",
    "terms": "terms",
    "recipient": "terms",
    "network": "terms",
    "asset": "terms",
}


def test_without_a_payment_the_terms_are_named(facilitator, payer, agent):
    answer = payer.post(TOP_UPS, WANTED, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (402, "X402_PAYMENT_REQUIRED")
    (terms,) = answer.json()["facts"]["accepts"]
    assert terms == {
        "scheme": "exact",
        "network": ASSET.network,
        "asset": ASSET.address,
        "amount": str(TOKENS),
        "payTo": PAY_TO,
        "maxTimeoutSeconds": 300,
        "extra": {"name": "USDC", "version": "2"},
    }
    assert signed(answer["PAYMENT-REQUIRED"]).accepted.model_dump(by_alias=True) == terms
    assert not TopUp.objects.exists()


def test_a_signed_payment_is_settled_and_credited(facilitator, required, pay, held):
    made = pay(signed(required))
    assert (made.status_code, made.json()["status"], held()) == (201, "credited", 5000)
    assert facilitator.transfers == [(PAYER.address.lower(), PAY_TO.lower(), TOKENS)]
    assert facilitator.balances[PAYER.address.lower()] == LEFT
    assert TopUp.objects.get().reference == next(iter(facilitator.used.values()))
    assert "PAYMENT-RESPONSE" in made
    assert not HeldAuthorisation.objects.exists()


def test_neither_payer_nor_signature_is_in_an_event(facilitator, required, pay):
    payload = signed(required)
    pay(payload)
    recorded = b"".join(bytes(body) for body in Event.objects.values_list("body", flat=True)).decode().lower()
    for secret in (PAYER.address, payload.payload["signature"], payload.payload["authorization"]["nonce"]):
        assert secret.lower().removeprefix("0x") not in recorded


@pytest.mark.parametrize("what", REASONS)
def test_an_altered_payment_is_refused(facilitator, required, pay, held, what):
    facilitator.balances[STRANGER.address.lower()] = 10**9
    refused = pay(forms(signed(required), int(time.time()))[what])
    assert (refused.status_code, refused.json()["code"]) == (402, "PAYMENT_REFUSED")
    assert refused.json()["facts"]["reason"] == REASONS[what]
    assert (facilitator.transfers, TopUp.objects.count(), held()) == ([], 0, 0)


def test_a_payment_for_one_amount_buys_no_other(facilitator, required, pay):
    assert pay(signed(required), amount=6000).json()["facts"]["reason"] == "terms"
    assert pay(signed(required), currency="EUR").json()["code"] == "WRONG_CURRENCY"


def test_a_payer_without_the_money_is_refused(facilitator, required, pay, held):
    facilitator.balances[PAYER.address.lower()] = TOKENS - 1
    assert pay(signed(required)).json()["facts"]["reason"] == "invalid_balance"
    assert (TopUp.objects.count(), held()) == (0, 0)


def test_a_replayed_authorisation_is_refused(facilitator, required, pay, held):
    payload = signed(required)
    first = pay(payload)
    again = pay(payload)
    assert (again.status_code, again.json()["code"]) == (409, "PAYMENT_REPLAYED")
    assert again.json()["facts"] == {"top_up": first["Location"]}
    # In other letters, or with another signature, it is the same authorisation.
    nonce = payload.payload["authorization"]["nonce"]
    assert pay(altered(payload, nonce="0x" + nonce[2:].upper())).json()["code"] == "PAYMENT_REPLAYED"
    assert pay(altered(payload, **{"from": PAYER.address.lower()})).json()["code"] == "PAYMENT_REPLAYED"
    assert (held(), facilitator.transfers) == (5000, [(PAYER.address.lower(), PAY_TO.lower(), TOKENS)])


def test_nobody_learns_whose_authorisation_it_was(facilitator, required, pay, other_agent):
    payload = signed(required)
    pay(payload)
    other_agent("bob")
    bob = client_of(User.objects.get(username="bob"), TOP_UPS_WRITE)
    stolen = pay(payload, client=bob)
    assert (stolen.status_code, stolen.json()["code"]) == (409, "PAYMENT_REPLAYED")
    assert "facts" not in stolen.json()


def test_an_authorisation_that_was_used_elsewhere_is_refused(facilitator, required, pay):
    payload = signed(required)
    authorization = payload.payload["authorization"]
    facilitator.used[(authorization["from"].lower(), authorization["nonce"].lower())] = "0x1"
    assert pay(payload).json()["facts"]["reason"] == "invalid_nonce"


@pytest.mark.parametrize(
    "text",
    ["x", "bnVsbA==", "W10=", "e30=", "eyJ4NDAyVmVyc2lvbiI6MX0=", "eyJ4NDAyVmVyc2lvbiI6ICJ6In0=", "A" * 8193, "/w=="],
)
def test_what_is_no_payment_is_refused(facilitator, required, pay, text):
    refused = pay(text)
    assert (refused.status_code, refused.json()["field"]) == (422, "PAYMENT-SIGNATURE")


@pytest.mark.parametrize(
    "changes",
    [{"value": "1e6"}, {"value": "-1"}, {"validAfter": ""}, {"nonce": "0x12"}, {"from": "me"}, {"value": 7}],
)
def test_a_malformed_authorisation_is_refused(facilitator, required, pay, changes):
    refused = pay(altered(signed(required), **changes))
    assert (refused.status_code, refused.json()["field"]) == (422, "PAYMENT-SIGNATURE")
    assert not TopUp.objects.exists()


def test_a_facilitator_that_cannot_be_asked_leaves_nothing_behind(facilitator, required, pay, held):
    facilitator.silent = {"/verify"}
    payload = signed(required)
    away = pay(payload)
    assert (away.status_code, away.json()["code"], away["Retry-After"]) == (503, "GATEWAY_AWAY", "60")
    assert (TopUp.objects.count(), held()) == (0, 0)
    facilitator.silent = set()
    assert pay(payload).json()["status"] == "credited"


@pytest.mark.parametrize("after", [False, True], ids=["before it has settled", "after it has settled"])
def test_a_settlement_without_an_answer_stays_unknown_until_there_is_one(facilitator, required, pay, held, after):
    facilitator.silent, facilitator.after = {"/settle"}, after
    payload = signed(required)
    assert (pay(payload).json()["status"], held()) == ("unknown", 0)
    assert pay(payload).json()["code"] == "PAYMENT_REPLAYED"
    assert (reconciled(), held()) == ({"unknown": 1}, 0)
    facilitator.silent = set()
    assert (reconciled(), held()) == ({"credited": 1}, 5000)
    assert (reconciled(), held()) == ({}, 5000)
    assert len(facilitator.transfers) == 1
    assert not HeldAuthorisation.objects.exists()


def test_a_settlement_that_takes_too_long_is_unknown(facilitator, required, pay, held, monkeypatch, remote):
    monkeypatch.setattr(outbound, "SECONDS", 0.3)
    answering = remote.respond

    def slow(handler):
        if remote.asked[-1].path == "/settle":
            handler.connection.recv(1)  # until the client has hung up
        else:
            answering(handler)

    remote.respond = slow
    assert (pay(signed(required)).json()["status"], held()) == ("unknown", 0)
    monkeypatch.undo()


def test_an_unknown_settlement_that_nobody_can_tell_of_is_a_curators(facilitator, required, pay, held):
    facilitator.silent, facilitator.after = {"/settle"}, True
    pay(signed(required))
    facilitator.silent, facilitator.used = set(), dict.fromkeys(facilitator.used, "")
    facilitator.settle = lambda document: {
        "success": False,
        "errorReason": "invalid_exact_evm_nonce_already_used",
        "transaction": "",
        "network": ASSET.network,
    }
    assert (reconciled(), held()) == ({"unknown": 1}, 0)  # the nonce is used, but by what?
    credit_top_up(TopUp.objects.get(), reason="Transaction 0x12 is ours.", metadata=CURATOR)
    assert (held(), HeldAuthorisation.objects.count()) == (5000, 0)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ({"success": False, "errorReason": "transaction_failed", "transaction": ""}, "failed"),
        ({"success": False, "errorReason": "settlement_pending", "transaction": ""}, "unknown"),
        ({"success": False, "errorReason": "transaction_failed", "transaction": "0x12"}, "unknown"),
        ({"nonsense": True}, "unknown"),
    ],
)
def test_what_a_failure_to_settle_means(facilitator, required, pay, held, reply, status):
    facilitator.settle = lambda document: {"network": ASSET.network, **reply}
    answer = pay(signed(required))
    assert (TopUp.objects.get().status, held()) == (status, 0)
    assert answer.status_code == (402 if status == "failed" else 201)


def test_the_facilitator_gets_our_key_and_nobody_else_does(settings, facilitator, required, pay, remote, caplog):
    settings.X402_FACILITATOR_TOKEN = "a-secret-token"
    pay(signed(required))
    assert {each.headers["authorization"] for each in remote.asked} == {"Bearer a-secret-token"}
    assert "a-secret-token" not in caplog.text


def test_a_transport_error_is_httpxs(remote):
    from latentmas.outbound_transport import OutboundTransport

    with httpx.Client(transport=OutboundTransport()) as http, pytest.raises(httpx.ConnectError, match="only https"):
        http.get("http://facilitator.example")
