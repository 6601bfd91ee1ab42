"""Buy artefacts over HTTP: what is delivered in which form, for what price, and with which mark."""

import base64
import json

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client

from kvcache.compression.compressor import compress
from kvcache.compression.container import read_kvz
from kvcache.server.queries import get_adapter
from latentmas.protocol.long_term_memory import read_selection
from latentmas.protocol.marks import PREDICATE_TYPE, mark_in
from latentmas.protocol.reasoning_chain import read_chain
from latentmas.protocol.snapshot import read_snapshot
from latentmas.protocol.vectors import read_vectors, write_vectors
from latentmas.protocol.verification.envelopes import open_envelope, read_statement
from latentmas.rest.scopes import MEMORIES_PUBLISH
from latentmas.transparency.models import SigningKey
from marketplace.artefacts.commands import withdraw
from marketplace.ledger.models import LedgerTransfer
from marketplace.listings.lifecycle.commands import By, accept_transfer, offer_transfer
from marketplace.sales.models import Sale
from tests.marketplace.artefacts.buying import downloaded, on_sale, quoted, used
from tests.marketplace.artefacts.selling import FILE, kept, post, uploaded
from tests.marketplace.conftest import client_of
from tests.marketplace.exchange.sample import memory
from tests.marketplace.sales.toys import funds
from tests.marketplace.sample import METADATA, SOURCE, TARGET

pytestmark = pytest.mark.django_db


@pytest.fixture
def kvz(shop):
    data = compress(memory(9), adapter=get_adapter(SOURCE), method="quantise").data
    stored = shop.post("/api/stored-memories", data, FILE).json()["id"]
    return on_sale(shop, "memories", {"memory": stored})


def test_a_memory_is_delivered_as_it_was_published_with_its_mark(kvz, bea):
    purchase = used(bea, kvz).json()
    file = downloaded(bea, purchase)
    assert read_kvz(file).frame.tokens == 10  # its own digest still holds
    assert purchase["file"]["name"].endswith(".kvz")
    envelope = mark_in(file)
    (key,) = SigningKey.objects.filter(purpose="receipt")
    payload = open_envelope(envelope, {key.key_id: base64.b64decode(key.public_key)})
    statement = read_statement(payload)
    assert statement.predicate_type == PREDICATE_TYPE
    assert statement.sha256 == kvz["versions"][0]["file"]["digest"].removeprefix("sha256:")
    assert statement.predicate == {
        "sale": purchase["id"],
        "kind": "memory",
        "item": kvz["id"],
        "version": "1.0.0",
    }


def test_a_compressed_memory_is_delivered_decoded(kvz, bea):
    snapshot, _ = read_snapshot(downloaded(bea, used(bea, kvz, form="raw").json()))
    assert (snapshot.frame.tokens, snapshot.frame.model) == (10, SOURCE)
    np.testing.assert_allclose(snapshot.keys, memory(9).keys, atol=0.5)


def test_no_token_of_a_strangers_memory_is_trusted(raw, bea):
    report = used(bea, raw).json()["report"]
    assert (report["trusted_tokens"], report["untrusted_tokens"]) == (0, 10)
    assert "unread prompt" in report["notice"]


def test_the_price_follows_tokens_and_what_was_found(raw, bea):
    quote = quoted(bea, raw).json()
    factors = {term["name"]: float(term["factor"]) for term in quote["breakdown"]["terms"]}
    assert (factors["quality"], factors["uniqueness"]) == (0.97, 0.8)
    assert quote["price"]["amount"] > quote["breakdown"]["base"] == 500


def test_a_memory_is_delivered_aligned(raw, bea, mapped):
    response = used(bea, raw, form="aligned", target_model="Gemma-3-270M")
    assert response.status_code == 201, response.content
    purchase = response.json()
    snapshot, _ = read_snapshot(downloaded(bea, purchase))
    assert snapshot.frame.model == TARGET
    report = purchase["report"]
    assert report["w_matrix"] == {
        "listing": mapped,
        "version": "1.0.0",
        "digest": report["w_matrix"]["digest"],
    }
    assert report["target_model"] == TARGET


def test_the_owner_of_the_w_matrix_earns_a_share(raw, bea, mapped, other_agent):
    owner, _ = other_agent("wanda")
    offer_transfer(mapped, to=owner, by=By(None, METADATA))
    accept_transfer(mapped, by=By(owner, METADATA))
    purchase = used(bea, raw, form="aligned", target_model=TARGET).json()
    (share,) = [each for each in purchase["shares"] if each["recipient"] == "helper"]
    assert (share["agent"], share["item"], share["amount"]) == (owner, mapped, purchase["price"]["amount"] // 10)
    assert funds(owner) == share["amount"]


def test_where_the_quality_gate_refuses_nothing_is_charged(raw, bea, buyer, mapped):
    response = used(bea, raw, form="aligned", target_model=TARGET, minimum_retention=0.99)
    assert (response.status_code, response.json()["code"]) == (422, "QUALITY_BELOW_THRESHOLD")
    assert funds(buyer) == 10_000
    assert Sale.objects.get().status == "voided"


def test_without_a_certified_w_matrix_there_is_no_quote(raw, bea):
    response = quoted(bea, raw, form="aligned", target_model=TARGET)
    assert (response.status_code, response.json()["code"]) == (404, "W_MATRIX_NOT_FOUND")


@pytest.mark.parametrize(
    ("delivery", "status"),
    [({"form": "aligned"}, 422), ({"form": "aligned", "target_model": SOURCE}, 422), ({"form": "folded"}, 422)],
)
def test_a_delivery_that_there_is_not_gets_no_quote(raw, bea, delivery, status):
    assert quoted(bea, raw, **delivery).status_code == status


def test_a_chain_is_delivered_up_to_a_step(chain, bea):
    purchase = used(bea, chain, form="raw", after_step=1).json()
    found = read_chain(downloaded(bea, purchase))
    assert [step.text for step in found.steps] == ["Assume x."]
    np.testing.assert_array_equal(found.steps[0].thoughts, [[1.0, 2.0]])
    snapshot, _ = read_snapshot(found.memory)
    assert (snapshot.frame.tokens, snapshot.frame.next_position) == (4, 4)
    np.testing.assert_array_equal(snapshot.keys, memory(9).keys[:, :4])
    assert (purchase["tokens"], purchase["report"]["after_step"]) == (4, 1)


def test_fewer_steps_cost_less(chain, bea):
    prices = [quoted(bea, chain, form="raw", after_step=step).json()["price"]["amount"] for step in (1, 2)]
    assert prices[0] < prices[1]


@pytest.mark.parametrize(
    ("delivery", "status", "code"),
    [
        ({"form": "raw", "after_step": 3}, 404, "STEP_UNKNOWN"),
        ({"after_step": 1}, 422, "INVALID_INPUT"),
        ({"form": "raw", "after_step": 0}, 422, "INVALID_INPUT"),
    ],
)
def test_a_step_that_cannot_be_delivered_gets_no_quote(chain, bea, delivery, status, code):
    response = quoted(bea, chain, **delivery)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_an_aligned_chain_has_no_thoughts_of_another_model(chain, bea, mapped):
    purchase = used(bea, chain, form="aligned", target_model=TARGET, after_step=2).json()
    found = read_chain(downloaded(bea, purchase))
    assert all(step.thoughts is None for step in found.steps)
    snapshot, _ = read_snapshot(found.memory)
    assert snapshot.frame.model == TARGET
    assert "left out" in purchase["report"]["thoughts"]


def test_a_selection_is_paid_by_what_it_holds(long_term, bea, buyer):
    quote = quoted(bea, long_term, query="bicycle", token_budget=13).json()
    purchase = post(bea, f"{long_term['url']}/use", {"quote": quote["quote"]}).json()
    (found,) = read_selection(downloaded(bea, purchase))
    assert (found.text, found.tokens) == ("The red bicycle.", 6)
    snapshot, _ = read_snapshot(found.memory)
    assert snapshot.frame.tokens == 6
    assert purchase["tokens"] == 6
    assert purchase["price"]["amount"] < quote["price"]["amount"]
    assert funds(buyer) == 10_000 - purchase["price"]["amount"]


def test_a_selection_is_delivered_aligned(long_term, bea, mapped):
    purchase = used(bea, long_term, form="aligned", target_model=TARGET, query="house", token_budget=14).json()
    found = read_selection(downloaded(bea, purchase))
    assert [each.session for each in found] == [1, 2]
    assert {read_snapshot(each.memory)[0].frame.model for each in found} == {TARGET}


def test_a_budget_that_nothing_fits_charges_nothing(long_term, bea, buyer):
    response = used(bea, long_term, query="house", token_budget=3)
    assert (response.status_code, response.json()["code"]) == (422, "INVALID_INPUT")
    assert funds(buyer) == 10_000


def test_a_withdrawn_memory_is_not_sold_but_stays_with_its_buyer(raw, seller, bea, buyer):
    token = quoted(bea, raw).json()["quote"]
    bought = used(bea, raw).json()
    withdraw(raw["id"], reason="Enough.", by=By(seller, METADATA))
    spent = funds(buyer)
    for response in (post(bea, f"{raw['url']}/use", {"quote": token}), quoted(bea, raw)):
        assert (response.status_code, response.json()["code"]) == (410, "ARTEFACT_WITHDRAWN")
    assert funds(buyer) == spent
    assert downloaded(bea, bought)


def test_a_quote_is_used_where_it_was_taken(raw, chain, bea):
    token = quoted(bea, raw).json()["quote"]
    response = post(bea, f"{chain['url']}/use", {"quote": token})
    assert (response.status_code, response.json()["field"]) == (422, "quote")
    assert not Sale.objects.exists()


def test_the_same_quote_buys_once(raw, bea, buyer):
    token = quoted(bea, raw).json()["quote"]
    first, again = (post(bea, f"{raw['url']}/use", {"quote": token}) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert funds(buyer) == 10_000 - first.json()["price"]["amount"]


def test_ones_own_memory_is_not_sold_to_oneself(raw, shop):
    assert quoted(shop, raw).json()["code"] == "OWN_GOODS"


def test_royalties_reach_the_parents_seller(shop, raw, bea, other_agent):
    bob = (
        client_of(User.objects.get(username="bob"), "memories:write", MEMORIES_PUBLISH) if other_agent("bob") else None
    )
    parents = [{"artefact": raw["id"], "royalty_basis_points": 2000}]
    child = on_sale(bob, "memories", {"memory": kept(bob, 5), "parents": parents})
    purchase = used(bea, child).json()
    (royalty,) = [share for share in purchase["shares"] if share["recipient"] == "royalty"]
    assert (royalty["agent"], royalty["item"]) == (raw["seller"], raw["id"])
    assert royalty["amount"] == purchase["price"]["amount"] * 2000 // 10_000
    assert sum(share["amount"] for share in purchase["shares"]) == purchase["price"]["amount"]
    assert LedgerTransfer.objects.filter(amount=royalty["amount"]).exists()


@pytest.fixture
def embeddings(shop):
    vectors = np.arange(12, dtype="f4").reshape(4, 3)
    upload = uploaded(shop, write_vectors(vectors, model=SOURCE))
    return on_sale(shop, "embeddings", {"upload": upload, "model": SOURCE})


def test_embeddings_have_one_price_and_are_downloaded_again(embeddings, bea, shop):
    assert quoted(bea, embeddings).json()["breakdown"] is None
    unpaid = bea.get(f"{embeddings['url']}/file")
    assert (unpaid.status_code, unpaid.json()["code"]) == (402, "PAYMENT_REQUIRED")
    purchase = used(bea, embeddings).json()
    assert purchase["price"] == {"amount": 500, "currency": "USD"}
    first = downloaded(bea, purchase)
    assert read_vectors(first).array.shape == (4, 3)
    again = bea.get(f"{embeddings['url']}/file")
    assert b"".join(again.streaming_content) == first
    assert again["Cache-Control"] == "private, no-store"
    own = b"".join(shop.get(f"{embeddings['url']}/file").streaming_content)
    assert mark_in(own) is None
    assert json.loads(base64.b64decode(mark_in(first)["payload"]))["predicate"]["sale"] == purchase["id"]


def test_embeddings_are_not_aligned(embeddings, bea):
    assert quoted(bea, embeddings, form="aligned", target_model=TARGET).status_code == 422


def test_buying_asks_for_its_scope(raw):
    assert quoted(Client(), raw).status_code == 401
