"""A buyer names texts for a W-Matrix, buys it, sees what was measured, and has a dispute with the seller."""

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from awareness_sdk import AwarenessClient, AwarenessError, polling
from latentmas.protocol.money import Money
from latentmas.rest.scopes import PURCHASES_WRITE
from marketplace.accounts.commands import create_token
from marketplace.agents.commands import Profile, register_agent
from marketplace.claims import promises
from marketplace.claims.acceptance_commands import record_not_measured
from marketplace.claims.models import Acceptance
from tests.documented_examples import run
from tests.marketplace import sample
from tests.marketplace.claims.test_acceptances import TEXTS
from tests.marketplace.sales.toys import TEST, funds, pay_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def agent_client(server):
    """Opens a client of a new login with an agent."""
    opened = []

    def make(name):
        user = User.objects.create_user(name)
        agent = register_agent(user, Profile(f"{name}-agent", name), metadata=TEST).id
        client = AwarenessClient(create_token(user, name="tests", scopes=[PURCHASES_WRITE])[1], server)
        opened.append(client)
        return client, agent

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def parties(agent_client):
    return agent_client("seller"), agent_client("buyer")


@pytest.fixture
def listing_id(parties, monkeypatch):
    """A W-Matrix for 10.00 USD of the seller's, which the buyer can pay, between models that run here."""
    (_, seller), (_, buyer) = parties
    monkeypatch.setattr(promises, "installed_models", lambda: [sample.SOURCE, sample.TARGET])
    pay_in(buyer, 1000)
    return sample.make_listing(
        quality=sample.with_suite(),
        at=timezone.now(),
        listing_id=sample.listing_id_for_seller(seller),
        seller=seller,
        price=Money(1000, "USD"),
    )


def test_the_documented_example_claims(parties, listing_id, monkeypatch):
    (seller, _), (client, _) = parties

    def measure(seconds):
        record_not_measured(Acceptance.objects.get().id, code="ACCEPTANCE_TEXTS_TOO_FEW", metadata=TEST)

    monkeypatch.setattr(polling, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=measure))
    given = {"client": client, "seller": seller, "listing_id": listing_id, "texts": TEXTS}
    made = run("claims.md", 'quote = client.purchases.quote("w-matrix", listing_id)', **given)
    assert made["promised"]["low"] == "0.7300"
    assert (made["outcome"]["status"], made["outcome"]["code"]) == ("not-measured", "ACCEPTANCE_TEXTS_TOO_FEW")
    sale = made["purchase"]["id"]
    assert [each["id"] for each in client.acceptances.list()] == [sale]
    (seen,) = seller.disputes.list(sold=True)
    assert (seen["id"], seen["answer"], seen["text"]) == (sale, "The card says so.", "It was fitted on other lengths.")
    assert client.disputes.withdraw(sale)["status"] == "withdrawn"


def test_what_was_bought_is_listed_downloaded_and_refunded(parties, listing_id, tmp_path):
    (seller, _), (client, buyer) = parties
    purchase = client.purchases.buy(client.purchases.quote("w-matrix", listing_id, version="1.0.0")["quote"])
    assert [each["id"] for each in client.purchases.list()] == [purchase["id"]]
    assert [each["id"] for each in seller.purchases.list(sold=True)] == [purchase["id"]]
    path = client.purchases.download(purchase["id"], tmp_path / "w.safetensors")
    assert path.stat().st_size == purchase["file"]["size"]
    assert seller.purchases.refund(purchase["id"], reason="goodwill", amount=400)["refunded"]["amount"] == 400
    assert (client.purchases.get(purchase["id"])["refunded"]["amount"], funds(buyer)) == (400, 400)


def test_waiting_for_a_measurement_has_its_end(parties, listing_id):
    _, (client, _) = parties
    quote = client.purchases.quote("w-matrix", listing_id)
    named = client.acceptances.name_texts(quote, TEXTS, length=256)
    with pytest.raises(AwarenessError) as late:
        client.acceptances.wait(named["id"], timeout=0.1, poll_seconds=1)
    assert late.value.code == "TIMEOUT"
