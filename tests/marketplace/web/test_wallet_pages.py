"""The wallet: balances, the drawing, the statement, top-ups and payouts; nobody else's."""

import csv
import io
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from latentmas.protocol.money import Money
from marketplace.agents.commands import Profile, register_agent
from marketplace.agents.models import Agent
from marketplace.payments.errors import GatewayAway
from marketplace.payments.gateways.interface import Outcome, Verdict
from marketplace.payments.gateways.manual import ManualGateway
from marketplace.payments.models import Payout, TopUp
from marketplace.payments.payout_commands import approve_payout, request_payout
from tests.marketplace import sample
from tests.marketplace.sales.toys import funds, pay_in
from tests.marketplace.web.selling import bought, page

pytestmark = pytest.mark.django_db
TOP_UP, PAYOUT = "/my/wallet/top-ups", "/my/wallet/payouts"
PAID_OUT = {"amount": "12.50", "currency": "USD", "destination": "DE02 1203 0000 0000 2020 51", "seen": ""}


def test_a_wallet_shows_what_it_holds_and_how_that_came_about(buying, bea, memory):
    sale = bought(bea, memory)
    text = page(buying, "/my/wallet")
    left = funds(bea)
    assert f"{left / 100:.2f} USD" in text
    assert f'href="/my/purchases/{sale}"' in text
    assert "Balance over time" in text
    assert "2 movements since" in text
    assert f"{(left - 10_000) / 100:.2f} USD".replace("-", "\N{MINUS SIGN}") in text
    assert buying.get("/my/wallet")["Cache-Control"] == "private, no-store"


def test_a_wallet_that_nothing_came_into_says_so(stranger):
    text = page(stranger, "/my/wallet")
    assert "Nothing has come in yet" in text
    assert "Ask for the payout" not in text
    page(stranger, "/my/wallet/statement", 404)


def test_the_statement_is_newest_first_and_comes_in_pages(buying, bea):
    for amount in range(1, 31):
        pay_in(bea, amount)
    text = page(buying, "/my/wallet")
    assert text.index(">0.30 USD<") < text.index(">0.29 USD<")
    assert ">0.05 USD<" not in text
    older = re.search(r'rel="next" href="([^"#]+)', text)[1].replace("&amp;", "&")
    assert ">0.05 USD<" in page(buying, f"/my/wallet{older}")
    assert ">100.00 USD<" in page(buying, f"/my/wallet{older}")


def test_the_statement_as_a_file_has_every_line(buying, bea):
    pay_in(bea, 5)
    answer = buying.get("/my/wallet/statement?currency=USD")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert answer["Content-Disposition"] == 'attachment; filename="statement-USD.csv"'
    assert answer["Cache-Control"] == "private, no-store"
    assert [row[4] for row in rows[2:-1]] == ["10000", "5"]
    assert rows[-1][5] == "10005"


@pytest.mark.parametrize("query", ["currency=EUR", "currency=%00", "cursor=nonsense", "agent=x"])
def test_a_wrong_address_of_a_wallet_is_not_found(buying, query):
    page(buying, f"/my/wallet?{query}", 404)


def test_each_agent_has_a_wallet_of_its_own(buying, bea):
    other = register_agent(User.objects.get(username="bea"), Profile("bea-two", "B"), metadata=sample.METADATA).id
    pay_in(other, 77)
    assert "0.77 USD" in page(buying, f"/my/wallet?agent={other}")
    first = page(buying, "/my/wallet")
    assert "0.77 USD" not in first
    assert f'href="?agent={other}"' in first


def test_a_top_up_by_transfer_says_what_to_do(buying, bea):
    answer = buying.post(TOP_UP, {"amount": "25.00", "currency": "USD", "gateway": "manual"}, follow=True)
    row = TopUp.objects.get()
    assert (row.agent_id, row.amount, row.currency, row.status) == (bea, 2500, "USD", "requested")
    assert answer.redirect_chain == [(f"/my/wallet?agent={bea}", 302)]
    assert answer.content.decode().count(f"top-up {row.id}") == 2  # at once, and in the list afterwards
    assert funds(bea) == 10_000


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome(Verdict.OPEN, "r", next_step={"kind": "page", "url": "https://pay.example/?a&b"}), "pay on its page"),
        (Outcome(Verdict.FAILED, explanation="no such card"), "no such card"),
        (Outcome(Verdict.UNKNOWN), "has not answered yet"),
    ],
)
def test_what_a_gateway_answers_is_said(buying, monkeypatch, outcome, said):
    monkeypatch.setattr(ManualGateway, "start", lambda self, payment: outcome)
    answer = buying.post(TOP_UP, {"amount": "25", "currency": "USD", "gateway": "manual"}, follow=True)
    text = answer.content.decode()
    assert said in text
    assert ("https://pay.example/?a&amp;b" in text) == (outcome.verdict is Verdict.OPEN)


def test_a_gateway_that_is_away_is_said_to_be_away(buying, monkeypatch):
    def away(self, payment):
        raise GatewayAway("the gateway does not answer")

    monkeypatch.setattr(ManualGateway, "check", away)
    answer = buying.post(TOP_UP, {"amount": "25", "currency": "USD", "gateway": "manual"})
    assert "the gateway does not answer" in answer.content.decode()
    assert not TopUp.objects.exists()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"amount": "0"}, "greater than or equal to 0.01"),
        ({"amount": "1000000"}, "less than or equal to 999999.99"),
        ({"amount": "1.005"}, "no more than 2 decimal places"),
        ({"amount": "much"}, "Enter a number"),
        ({"amount": "NaN"}, "Enter a number"),
        ({"currency": "usd"}, "Enter a valid value"),
        ({"gateway": "x402"}, "Select a valid choice"),
    ],
    ids=str,
)
def test_a_wrong_top_up_says_why_and_is_not_recorded(buying, changes, problem):
    answer = buying.post(TOP_UP, {"amount": "25", "currency": "USD", "gateway": "manual"} | changes)
    assert answer.status_code == 200
    assert problem in answer.content.decode()
    assert not TopUp.objects.exists()


def test_gateways_for_programs_alone_are_not_offered_to_people(buying, settings):
    settings.STRIPE_SECRET_KEY, settings.STRIPE_RETURN_URL = "sk_test_1", "https://market.example/my/wallet"
    text = page(buying, "/my/wallet")
    assert 'value="stripe-checkout"' in text
    assert 'value="stripe"' not in text


def test_a_payout_is_asked_for_masked_and_cancelled(buying, bea):
    answer = buying.post(PAYOUT, PAID_OUT, follow=True)
    row = Payout.objects.get()
    text = answer.content.decode()
    assert (row.agent_id, row.amount, row.status) == (bea, 1250, "requested")
    assert funds(bea) == 10_000 - 1250
    assert "...0 51" in text
    assert "DE02" not in text
    answer = buying.post(f"{PAYOUT}/{row.id}/cancel", follow=True)
    assert "its amount is in the wallet again" in answer.content.decode()
    assert funds(bea) == 10_000
    assert "is cancelled; for this it must be" in buying.post(f"{PAYOUT}/{row.id}/cancel", follow=True).content.decode()


def test_a_payout_form_that_is_sent_twice_asks_once(buying):
    buying.post(PAYOUT, PAID_OUT)
    again = buying.post(PAYOUT, PAID_OUT)
    assert "you have asked for another payout since" in again.content.decode().replace("&#x27;", "'")
    assert Payout.objects.count() == 1
    buying.post(PAYOUT, PAID_OUT | {"seen": Payout.objects.get().id})
    assert Payout.objects.count() == 2


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"amount": "100.01"}, "errorlist"),  # more than it has
        ({"amount": "-1"}, "greater than or equal to 0.01"),
        ({"currency": "EUR"}, "Select a valid choice"),
        ({"destination": ""}, "This field is required"),
        ({"destination": "x" * 201}, "at most 200 characters"),
    ],
    ids=str,
)
def test_a_wrong_payout_says_why_and_sets_nothing_aside(buying, bea, changes, problem):
    answer = buying.post(PAYOUT, PAID_OUT | changes)
    assert answer.status_code == 200
    assert problem in answer.content.decode()
    assert not Payout.objects.exists()
    assert funds(bea) == 10_000


def test_an_approved_payout_is_not_cancelled(buying, bea):
    buying.post(PAYOUT, PAID_OUT)
    row = Payout.objects.get()
    approve_payout(row, reason="In order.", metadata=sample.METADATA)
    assert "/cancel" not in page(buying, "/my/wallet")
    buying.post(f"{PAYOUT}/{row.id}/cancel")
    row.refresh_from_db()
    assert row.status == "approved"


def test_nobody_moves_anothers_money(stranger, browser, bea):
    for path in (TOP_UP, PAYOUT):
        assert stranger.post(f"{path}?agent={bea}", PAID_OUT).status_code == 404
    agent = Agent.objects.get(id=bea)
    row = request_payout(agent, Money(100, "USD"), destination="DE02", metadata=sample.METADATA)
    assert stranger.post(f"{PAYOUT}/{row}/cancel").status_code == 404
    assert stranger.post(f"{PAYOUT}/%00/cancel").status_code == 404
    assert Payout.objects.get().status == "requested"


def test_the_wallet_asks_for_a_login_an_agent_and_a_token(client, alice, bea):
    for path in ("/my/wallet", "/my/wallet/statement", TOP_UP, PAYOUT, f"{PAYOUT}/x/cancel"):
        assert client.post(path).status_code in (302, 405)
    assert client.get("/my/wallet")["Location"] == "/log-in?next=/my/wallet"
    client.force_login(alice)
    assert client.get("/my/wallet")["Location"] == "/my/agents/new"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="bea"))
    for path in (TOP_UP, PAYOUT):
        assert strict.post(path, PAID_OUT).status_code == 403


def test_the_wallet_costs_a_constant_number_of_queries(buying, bea, django_assert_max_num_queries):
    for _ in range(8):
        pay_in(bea, 10)
    with django_assert_max_num_queries(24):
        page(buying, "/my/wallet")
