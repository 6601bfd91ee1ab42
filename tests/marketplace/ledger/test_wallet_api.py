"""An agent's wallet and statement over REST."""

import csv
import io
from datetime import timedelta
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from latentmas.rest.scopes import AGENTS_WRITE, WALLET_READ
from marketplace.agents.commands import Profile, register_agent
from marketplace.ledger.accounts import hold, payout, platform, wallet
from marketplace.ledger.events import Purpose, Transfer
from marketplace.ledger.models import LedgerTransfer
from tests.marketplace import sample
from tests.marketplace.conftest import client_of
from tests.marketplace.ledger.conftest import BANK, post

pytestmark = pytest.mark.django_db
WALLET = "/api/wallet"
STATEMENT = "/api/wallet/statement?currency=USD"


@pytest.fixture
def moved(seller):
    """1000 came in; of that 300 were held, of which 100 went back and 50 to the platform; 200 are being paid out."""
    mine = wallet(seller, "USD")
    post(Transfer(BANK, mine, 1000), stream="top-up/t")
    post(Transfer(mine, hold("s", "USD"), 300), purpose=Purpose.HOLD)
    post(
        Transfer(hold("s", "USD"), mine, 100),
        Transfer(hold("s", "USD"), platform("USD"), 50),
        purpose=Purpose.CAPTURE,
    )
    post(Transfer(mine, payout("p", "USD"), 200), stream="payout/p", purpose=Purpose.PAYOUT)
    post(Transfer(BANK, wallet("another", "USD"), 7), stream="top-up/u")


def usd(amount):
    return {"amount": amount, "currency": "USD"}


def test_a_wallet_shows_what_it_holds_and_what_is_set_aside(reader, seller, moved):
    answer = reader.get(WALLET)
    assert answer.json() == {
        "agent_id": seller,
        "wallets": [
            {"currency": "USD", "balance": usd(600), "held": usd(150), "disputed": usd(0), "paying_out": usd(200)}
        ],
    }
    assert answer["Cache-Control"] == "private, no-store"


def test_an_agent_without_money_has_no_wallet(reader, seller):
    assert reader.get(WALLET).json() == {"agent_id": seller, "wallets": []}


def test_a_wallet_is_its_owners_alone(client, client_with, other_agent, moved):
    assert client.get(WALLET).status_code == 401
    assert client_with(AGENTS_WRITE).get(WALLET).status_code == 403
    other_agent("bob")
    stranger = client_of(User.objects.get(username="bob"), WALLET_READ)
    assert stranger.get(WALLET).json()["wallets"] == []
    assert stranger.get(STATEMENT).json()["results"] == []


def test_a_login_with_several_agents_says_which_one_it_reads(reader, alice, moved):
    second = register_agent(alice, Profile("second", "Second"), metadata=sample.METADATA)
    unclear = reader.get(WALLET)
    assert (unclear.status_code, unclear.json()["code"]) == (409, "AGENT_REQUIRED")
    assert reader.get(WALLET, headers={"LatentMAS-Agent": second.id}).json()["wallets"] == []


def test_a_statement_names_every_movement_and_adds_up(reader, moved):
    page = reader.get(STATEMENT).json()
    assert (page["opening"], page["closing"], page["next"]) == (usd(0), usd(600), None)
    assert [(each["purpose"], each["counterparty"], each["amount"], each["balance"]) for each in page["results"]] == [
        ("top-up", "gateway", 1000, 1000),
        ("hold", "hold", -300, 700),
        ("capture", "hold", 100, 800),
        ("payout", "payout", -200, 600),
    ]
    assert [each["stream"] for each in page["results"]] == ["top-up/t", "sale/s", "sale/s", "payout/p"]


def test_the_pages_of_a_statement_follow_on_from_each_other(reader, moved):
    address, pages = f"{STATEMENT}&limit=1", []
    while address:
        pages.append(reader.get(address).json())
        address = pages[-1]["next"]
    assert len(pages) == 4
    for before, after in pairwise(pages):
        assert before["closing"] == after["opening"]
    for page in pages:
        added = page["opening"]["amount"] + sum(line["amount"] for line in page["results"])
        assert added == page["closing"]["amount"]
    assert pages[-1]["closing"] == usd(600)


def test_a_period_opens_with_what_was_there_before(reader, moved):
    second = LedgerTransfer.objects.order_by("at", "id")[1]
    tail = reader.get(f"{WALLET}/statement", {"currency": "USD", "since": second.at.isoformat()}).json()
    assert (tail["opening"], tail["closing"], len(tail["results"])) == (usd(1000), usd(600), 3)
    head = reader.get(f"{WALLET}/statement", {"currency": "USD", "until": second.at.isoformat()}).json()
    assert (head["opening"], head["closing"], len(head["results"])) == (usd(0), usd(1000), 1)
    after = reader.get(
        f"{WALLET}/statement", {"currency": "USD", "since": (timezone.now() + timedelta(days=1)).isoformat()}
    ).json()
    assert (after["opening"], after["closing"], after["results"]) == (usd(600), usd(600), [])


@pytest.mark.parametrize(("query", "accept"), [("", "text/csv"), ("&format=csv", "*/*")])
def test_a_statement_is_csv_for_who_asks_for_it(reader, moved, query, accept):
    answer = reader.get(f"{STATEMENT}{query}", headers={"Accept": accept})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert [(row["purpose"], row["amount"], row["balance"]) for row in rows] == [
        ("opening balance", "", "0"),
        ("top-up", "1000", "1000"),
        ("hold", "-300", "700"),
        ("capture", "100", "800"),
        ("payout", "-200", "600"),
        ("closing balance", "", "600"),
    ]


def test_the_csv_of_a_period_opens_with_what_was_there_before(reader, moved):
    second = LedgerTransfer.objects.order_by("at", "id")[1]
    answer = reader.get(f"{WALLET}/statement", {"currency": "USD", "format": "csv", "since": second.at.isoformat()})
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert (rows[0]["balance"], rows[-1]["balance"], len(rows)) == ("1000", "600", 5)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({}, 422),
        ({"currency": "usd"}, 422),
        ({"currency": "USD", "limit": "101"}, 422),
        ({"currency": "USD", "since": "yesterday"}, 422),
        ({"currency": "USD", "cursor": "x"}, 422),
        ({"currency": "USD", "from": "2026-01-01"}, 422),
        ({"currency": "USD", "format": "csv", "limit": "5"}, 422),
        ({"currency": "USD", "format": "csv", "cursor": "x"}, 422),
        ({"currency": "USD", "format": "xml"}, 404),
    ],
)
def test_a_wrong_parameter_is_named(reader, seller, wrong, status):
    answer = reader.get(f"{WALLET}/statement", wrong)
    assert answer.status_code == status
    if status == 422:
        assert answer.json()["field"] == next(iter(set(wrong) - {"currency", "format"}), "currency")
