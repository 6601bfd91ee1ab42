"""Agents that sell and buy with the client, on a running server."""

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from awareness_sdk import AwarenessClient, AwarenessError
from awareness_sdk.delivery_marks import sale_of
from awareness_sdk.log_proofs import Trust
from awareness_sdk.market import PriceTooHigh
from awareness_sdk.receipts import verify_receipt
from latentmas.protocol.verification.errors import VerificationFailed
from latentmas.rest.scopes import (
    AGENTS_WRITE,
    MEMORIES_PUBLISH,
    MEMORIES_READ,
    MEMORIES_WRITE,
    PURCHASES_WRITE,
    TOP_UPS_WRITE,
    WALLET_READ,
)
from latentmas.transparency.tasks import seal_log
from marketplace.accounts.commands import create_token
from marketplace.agents.commands import Profile, register_agent
from marketplace.sales.models import Sale
from tests.marketplace.artefacts.encoder import Encoder
from tests.marketplace.artefacts.sample import screen
from tests.marketplace.exchange.sample import certified_listing, memory
from tests.marketplace.sales.toys import funds, pay_in
from tests.marketplace.sample import METADATA, SOURCE, TARGET, with_suite

pytestmark = pytest.mark.django_db(transaction=True)
OFFER = {"title": "Minutes", "price": 500, "rights": "My own words.", "invertible": True}


@pytest.fixture
def seller(sdk_with, alice):
    register_agent(alice, Profile("alice-labs", "Alice"), metadata=METADATA)
    return sdk_with(MEMORIES_READ, MEMORIES_WRITE, MEMORIES_PUBLISH)


@pytest.fixture
def buyer(server):
    user = User.objects.create_user("bea")
    agent = register_agent(user, Profile("bea-buys", "Bea"), metadata=METADATA).id
    pay_in(agent, 10_000)
    secret = create_token(user, name="tests", scopes=(PURCHASES_WRITE,))[1]
    with AwarenessClient(api_key=secret, base_url=server) as client:
        client.agent = agent
        yield client


def test_a_memory_is_listed_found_bought_and_traced_to_its_sale(seller, buyer):
    listed = seller.publish_memory(memory(9), **OFFER, canary=3)
    assert list(buyer.memories_on_sale()) == []
    screen(listed["id"])
    (found,) = buyer.memories_on_sale(model=SOURCE)
    assert found["id"] == listed["id"]
    used = buyer.use_memory(found["id"], "SmolLM2-135M", max_price=1000)
    np.testing.assert_array_equal(used.snapshot.keys, memory(9).keys)
    assert funds(buyer.agent) == 10_000 - used.purchase["price"]["amount"]
    with buyer._transport.file(used.purchase["file"]["url"]) as pieces:
        file = b"".join(pieces)
    keys = buyer._transport.json("GET", "/api/log/keys")
    assert sale_of(file, keys=keys).predicate["sale"] == used.purchase["id"]
    with pytest.raises(VerificationFailed):
        sale_of(file.replace(b"delivery", b"delivary"), keys=keys)
    with pytest.raises(PriceTooHigh):
        buyer.use_memory(found["id"], max_price=500)
    assert Sale.objects.count() == 1
    with pytest.raises(AwarenessError) as refused:
        buyer.use_memory(found["id"], "gemma-3-270m")
    assert refused.value.code == "W_MATRIX_NOT_FOUND"
    assert Sale.objects.count() == 1


def test_a_chain_is_used_after_a_step_and_a_selection_by_its_query(seller, buyer, monkeypatch):
    monkeypatch.setattr("marketplace.artefacts.segments.sentence_encoder", Encoder)
    stored = seller.memories.upload(memory(9))["id"]
    steps = [{"text": "Assume x.", "end": 4}, {"text": "So y.", "end": 10}]
    chain = seller._transport.json("POST", "/api/reasoning-chains", body=OFFER | {"memory": stored, "steps": steps})
    screen(chain["id"])
    used = buyer.use_reasoning_chain(chain["id"], SOURCE, after_step=1)
    assert ([step.text for step in used.steps], used.snapshot.frame.next_position) == (["Assume x."], 4)
    cache = used.cache()
    assert cache.get_seq_length() == 4

    certified_listing(at=timezone.now(), quality=with_suite())
    spent = funds(buyer.agent)
    with pytest.raises(AwarenessError) as unknown:
        buyer.use_reasoning_chain(chain["id"], "my-model")
    assert (unknown.value.code, funds(buyer.agent)) == ("MODEL_NOT_SUPPORTED", spent)
    thought = buyer.use_reasoning_chain(chain["id"], "google/gemma-3-270m")  # a model by its hub id
    assert ([step.text for step in thought.steps], thought.snapshot.frame.model) == (["Assume x.", "So y."], TARGET)
    assert thought.cache().get_seq_length() == thought.snapshot.frame.next_position

    texts = {"The red bicycle.": 5, "The blue house.": 7}
    segments = [
        {"memory": seller.memories.upload(memory(tokens))["id"], "text": text, "session": 1}
        for text, tokens in texts.items()
    ]
    long_term = seller._transport.json("POST", "/api/long-term-memories", body=OFFER | {"segments": segments})
    screen(long_term["id"])
    (shown,) = buyer.select_long_term_memory(long_term["id"], query="bicycle", token_budget=8)["segments"]
    bought = buyer.use_long_term_memory(long_term["id"], query="bicycle", token_budget=8)
    assert [each.segment_id for each in bought.segments] == [shown["segment"]]
    (snapshot,) = bought.snapshots()
    assert snapshot.frame.tokens == 6


def test_an_agent_registers_pays_in_asks_for_the_price_and_gets_a_receipt_that_holds(seller, server):
    scopes = (AGENTS_WRITE, PURCHASES_WRITE, TOP_UPS_WRITE, WALLET_READ)
    secret = create_token(User.objects.create_user("new"), name="tests", scopes=scopes)[1]
    listed = seller.publish_memory(memory(9), **OFFER)
    screen(listed["id"])
    with AwarenessClient(api_key=secret, base_url=server) as client:
        assert client.agents.mine() == []
        agent = client.agents.register(handle="new-agent", display_name="New")
        assert [each["id"] for each in client.agents.mine()] == [agent["id"]]
        quote = client.quote_memory(listed["id"], SOURCE)
        assert (client.money.balance("USD"), Sale.objects.count()) == (0, 0)
        top_up = client.money.top_up(quote["price"]["amount"], "USD")
        assert (top_up["status"], top_up["next_step"]["kind"]) == ("requested", "transfer")
        pay_in(agent["id"], quote["price"]["amount"])
        assert client.money.balance("USD") == quote["price"]["amount"]
        purchase = client.use_memory(listed["id"], SOURCE).purchase
        receipt = client.money.receipt(purchase["id"])
        with pytest.raises(AwarenessError) as early:
            client.log.proof(receipt["position"])
        assert early.value.code == "NOT_SEALED"
        seal_log()
        trust = Trust.of_document(client.log.keys())
        said = verify_receipt(receipt, proof=client.log.proof(receipt["position"]), trust=trust)
        assert (said["sale"], said["file"]) == (purchase["id"], purchase["file"]["digest"])


def test_a_withdrawn_memory_is_on_its_card_and_no_longer_on_sale(seller):
    listed = seller.publish_memory(memory(9), **OFFER)
    screen(listed["id"])
    assert seller.memory_on_sale(listed["id"])["versions"][0]["screening"] == "passed"
    seller.withdraw_memory(listed["id"], reason="Enough.")
    assert seller.memory_on_sale(listed["id"])["withheld_reason"] == "Enough."
    assert list(seller.memories_on_sale()) == []
