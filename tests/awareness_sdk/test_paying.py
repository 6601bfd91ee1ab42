"""The client pays what it meets by x402, within its limit, and never a second time because an answer is missing."""

import httpx
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from awareness_sdk import AwarenessClient, AwarenessError
from awareness_sdk.errors import Conflict
from awareness_sdk.paying import PaymentNotSigned, X402Payer
from latentmas.protocol.money import Money
from latentmas.rest.scopes import MEMORIES_PUBLISH, MEMORIES_WRITE, PURCHASES_WRITE
from marketplace.accounts.commands import create_token
from marketplace.agents.commands import Profile, register_agent
from marketplace.payments.models import TopUp
from marketplace.sales.models import Sale
from tests.documented_examples import run
from tests.marketplace import sample
from tests.marketplace.artefacts.sample import screen
from tests.marketplace.exchange.sample import memory
from tests.marketplace.payments.gateways.test_stripe_intents import reconciled
from tests.marketplace.payments.gateways.wallets import PAYER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("facilitator")]


@pytest.fixture
def seller(alice):
    return register_agent(alice, Profile("alice-labs", "Alice"), metadata=sample.METADATA).id


@pytest.fixture
def memory_id(sdk_with, seller):
    offer = {"title": "Minutes", "price": 500, "rights": "Mine.", "invertible": True}
    card = sdk_with(MEMORIES_WRITE, MEMORIES_PUBLISH).publish_memory(memory(9), **offer)
    screen(card["id"])
    return card["id"]


@pytest.fixture
def listing_id(server, seller):
    return sample.make_listing(
        quality=sample.functional(),
        at=timezone.now(),
        listing_id=sample.listing_id_for_seller(seller),
        seller=seller,
        price=Money(1999, "USD"),
    )


@pytest.fixture
def token(db):
    """Of a login with an agent that has no money."""
    user = User.objects.create_user("bea")
    register_agent(user, Profile("bea-buys", "Bea"), metadata=sample.METADATA)
    return create_token(user, name="tests", scopes=(PURCHASES_WRITE,))[1]


@pytest.fixture
def paying(server, token):
    with AwarenessClient(token, server, payer=X402Payer(PAYER, most=2000)) as client:
        yield client


def test_the_documented_client_buys_with_an_empty_wallet(memory_id, token, server, facilitator, capsys):
    given = {"account": PAYER, "token": token, "server": server, "memory_id": memory_id}
    made = run("payments.md", "from awareness_sdk import AwarenessClient", **given)
    assert made["used"].snapshot.frame.tokens == 10
    assert TopUp.objects.get().reference in capsys.readouterr().out
    assert len(facilitator.transfers) == 1


def test_the_documented_client_of_others_buys_too(memory_id, token, server, facilitator, capsys):
    with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {token}"}) as http:
        quote = http.post(f"/api/memories/{memory_id}/quote", json={}).json()["quote"]
    run("payments.md", "import httpx", account=PAYER, token=token, server=server, quote=quote)
    assert f"/api/purchases/{Sale.objects.get().id}/file" in capsys.readouterr().out
    assert len(facilitator.transfers) == 1


def test_a_download_is_paid_where_it_is_asked_for(paying, listing_id, tmp_path, facilitator):
    for _ in range(2):
        path = paying.w_matrices.download(listing_id, "1.0.0", tmp_path / "w.safetensors")
    assert path.stat().st_size > 0
    (settled,) = paying._transport._payer.settlements
    assert (settled["success"], settled["transaction"]) == (True, TopUp.objects.get().reference)
    assert (len(facilitator.transfers), Sale.objects.count()) == (1, 1)


def test_nothing_is_signed_above_the_limit(server, token, listing_id, tmp_path, facilitator):
    payer = X402Payer(PAYER, most=1998)
    with AwarenessClient(token, server, payer=payer) as client, pytest.raises(PaymentNotSigned):
        client.w_matrices.download(listing_id, "1.0.0", tmp_path / "w.safetensors")
    assert (facilitator.transfers, TopUp.objects.count()) == ([], 0)


def test_without_a_payer_the_price_is_an_error(server, token, listing_id, tmp_path):
    with AwarenessClient(token, server) as client, pytest.raises(AwarenessError) as met:
        client.w_matrices.download(listing_id, "1.0.0", tmp_path / "w.safetensors")
    assert met.value.code == "PAYMENT_REQUIRED"


def test_an_unsettled_payment_is_sent_again_and_not_another_one(
    paying,
    listing_id,
    tmp_path,
    facilitator,
):
    facilitator.silent, facilitator.after = {"/settle"}, True
    for _ in range(2):
        with pytest.raises(Conflict) as unsettled:
            paying.w_matrices.download(listing_id, "1.0.0", tmp_path / "w.safetensors")
        assert unsettled.value.code == "PAYMENT_UNSETTLED"
    facilitator.silent = set()
    assert reconciled() == {"credited": 1}
    paying.w_matrices.download(listing_id, "1.0.0", tmp_path / "w.safetensors")
    assert (len(facilitator.transfers), Sale.objects.count()) == (1, 1)
    assert paying._transport._unsettled == {}
