"""Buying by pages: the form, the quote with its breakdown, the purchase, and every way in which it can be refused."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from latentmas.protocol.money import Money
from marketplace.agents.commands import Profile, register_agent
from marketplace.artefacts.commands import withdraw
from marketplace.artefacts.events import Terms
from marketplace.ledger.models import LedgerTransfer
from marketplace.listings.lifecycle.commands import By
from marketplace.pricing.commands import configure
from marketplace.sales.goods import Delivery, Form, Kind
from marketplace.sales.models import Sale
from marketplace.sales.quotes import Quote, opened, quote, sealed
from tests.marketplace import sample
from tests.marketplace.artefacts.sample import on_sale
from tests.marketplace.sales.toys import funds
from tests.marketplace.web.selling import page

pytestmark = pytest.mark.django_db
CONFIRM = "/my/purchases/new"


@pytest.fixture
def priced(registry, seller):
    """A W-Matrix of Alice's for 19.99 USD."""
    own = sample.listing_id_for_seller(seller)
    return sample.make_listing(listing_id=own, seller=seller, price=Money(1999, "USD"), at=timezone.now())


def asked(client, buyer, item, kind="memory", **typed):
    """Return the page that answers the form."""
    answer = client.post(f"/buy/{kind}/{item}", {"agent": buyer, "form": "compressed"} | typed)
    assert answer.status_code == 200
    return answer.content.decode().replace("&#x27;", "'")


def token_in(text):
    return re.search(r'name="quote" value="([^"]+)"', text)[1]


def test_a_memory_is_bought_by_form_quote_and_confirmation(buying, bea, memory):
    assert "See the price" in page(buying, f"/memories/{memory}")
    text = asked(buying, bea, memory)
    assert "How the price comes about" in text
    assert "How it would be divided" in text
    assert "100.00 USD" in text  # in the wallet
    assert not LedgerTransfer.objects.filter(purpose="hold").exists()
    price = opened(token_in(text)).price
    answer = buying.post(CONFIRM, {"quote": token_in(text)}, follow=True)
    sale = Sale.objects.get()
    assert answer.redirect_chain == [(f"/my/purchases/{sale.id}", 302)]
    assert "Bought." in answer.content.decode()
    assert (sale.buyer, sale.item, sale.price, sale.status) == (bea, memory, price, "captured")
    assert funds(bea) == 10_000 - price


def test_a_quote_that_is_confirmed_twice_buys_once(buying, bea, memory):
    token = token_in(asked(buying, bea, memory))
    answers = [buying.post(CONFIRM, {"quote": token}) for _ in range(2)]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert Sale.objects.count() == 1


def test_the_delivery_is_the_one_that_was_chosen(buying, bea, memory):
    text = asked(buying, bea, memory, form="raw")
    assert opened(token_in(text)).delivery == Delivery(form=Form.RAW)
    buying.post(CONFIRM, {"quote": token_in(text)})
    assert Sale.objects.get().delivery["form"] == "raw"


def test_without_enough_money_the_quote_says_so_and_stays(buying, stranger, memory):
    agent = register_agent(User.objects.get(username="bea"), Profile("bea-poor", "B"), metadata=sample.METADATA).id
    token = token_in(asked(buying, agent, memory))
    answer = buying.post(CONFIRM, {"quote": token})
    text = answer.content.decode()
    assert answer.status_code == 402
    assert "The wallet does not cover this" in text
    assert f'href="/my/wallet?agent={agent}"' in text
    assert token_in(text) == token
    assert not Sale.objects.exists()


def test_a_quote_that_is_shown_again_is_that_of_its_own_configuration(buying, seller, bea, memory):
    agent = register_agent(User.objects.get(username="bea"), Profile("bea-poor", "B"), metadata=sample.METADATA).id
    before = asked(buying, agent, memory)
    configure({"quality_weight": 0}, metadata=sample.METADATA)
    after = buying.post(CONFIRM, {"quote": token_in(before)}).content.decode()
    table = re.compile(r'<table class="breakdown">.*?</table>', re.DOTALL)
    assert table.search(before)[0] == table.search(after)[0]
    assert table.search(before)[0] != table.search(asked(buying, agent, memory))[0]


def test_a_wallet_in_another_currency_is_said_to_be(buying, bea, registry, seller):
    item = on_sale(seller, terms=Terms(Money(500, "EUR")))
    answer = buying.post(CONFIRM, {"quote": token_in(asked(buying, bea, item))})
    assert answer.status_code == 422
    assert "wallet is in USD" in answer.content.decode()


def test_nobody_buys_from_himself(browser, seller, memory):
    assert "agents of the same login" in asked(browser, seller, memory)
    assert not Sale.objects.exists()


def test_what_was_withdrawn_since_the_quote_is_not_sold(buying, bea, seller, memory):
    token = token_in(asked(buying, bea, memory))
    withdraw(memory, reason="It is out of date.", by=By(seller, sample.METADATA))
    answer = buying.post(CONFIRM, {"quote": token})
    assert answer.status_code == 410
    assert "It is out of date." in answer.content.decode()
    assert "it was withdrawn" in asked(buying, bea, memory)
    assert funds(bea) == 10_000


def test_an_expired_quote_leads_to_another_one(buying, bea, memory):
    made = opened(token_in(asked(buying, bea, memory)))
    fields = {name: getattr(made, name) for name in Quote.__slots__}
    old = sealed(Quote(**fields | {"expires_at": timezone.now()}))
    answer = buying.post(CONFIRM, {"quote": old})
    assert answer.status_code == 410
    assert f'href="/buy/memory/{memory}"' in answer.content.decode()


@pytest.mark.parametrize("altered", ["", "nonsense", "x" * 20_000])
def test_a_quote_that_was_not_made_here_leads_back_to_the_market(buying, registry, altered):
    answer = buying.post(CONFIRM, {"quote": altered}, follow=True)
    assert answer.redirect_chain == [("/market", 302)]
    assert "Ask for another one." in answer.content.decode()


def test_anothers_quote_is_not_found(stranger, bea, memory):
    made = quote(Kind.MEMORY, memory, delivery=Delivery(), buyer=bea)
    assert stranger.post(CONFIRM, {"quote": made.token}).status_code == 404
    assert funds(bea) == 10_000


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"form": "aligned"}, "an aligned delivery needs a target_model"),
        ({"form": "aligned", "target_model": "nobody"}, "nobody"),
        ({"form": "aligned", "target_model": "gemma-3-270m"}, "errorlist"),  # no certified W-Matrix leads there
        ({"form": "by post"}, "Select a valid choice"),
        ({"minimum_retention": "2"}, "less than or equal to 1"),
        ({"agent": "another"}, "Select a valid choice"),
        ({"version": "9.9.9"}, "on offer"),
    ],
    ids=str,
)
def test_what_is_wrong_with_the_form_is_said_there(buying, bea, memory, typed, problem):
    text = asked(buying, bea, memory, **typed)
    assert problem in text
    assert 'name="quote"' not in text
    assert not Sale.objects.exists()


@pytest.mark.parametrize(
    ("kind", "typed", "problem"),
    [
        (Kind.REASONING_CHAIN, {"after_step": 99, "form": "raw"}, "there is no step 99"),
        (Kind.REASONING_CHAIN, {"after_step": 0}, "greater than or equal to 1"),
        (Kind.LONG_TERM_MEMORY, {"token_budget": 0}, "greater than or equal to 1"),
        (Kind.LONG_TERM_MEMORY, {"query": "x" * 3000}, "at most 2000 characters"),
    ],
)
def test_other_kinds_ask_for_more_and_check_it(buying, bea, registry, seller, kind, typed, problem):
    item = on_sale(seller, kind=kind)
    assert problem in asked(buying, bea, item, kind=kind.value, **typed)


def test_a_budget_of_tokens_lowers_the_price(buying, bea, registry, seller):
    item = on_sale(seller, kind=Kind.LONG_TERM_MEMORY)
    prices = [
        opened(token_in(asked(buying, bea, item, "long-term-memory", **more))).price
        for more in ({}, {"token_budget": 5})
    ]
    assert prices[1] < prices[0]


def test_a_w_matrix_with_a_price_is_bought_on_its_page(buying, client, bea, priced):
    visited = page(client, f"/w-matrices/{priced}")
    assert "Log in to buy" in visited
    assert "/1.0.0/file" not in visited
    assert "See the price" in page(buying, f"/w-matrices/{priced}")
    text = asked(buying, bea, priced, "w-matrix", version="1.0.0")
    assert "19.99 USD" in text
    buying.post(CONFIRM, {"quote": token_in(text)})
    assert funds(bea) == 10_000 - 1999
    bought = page(buying, f"/w-matrices/{priced}")
    assert f'href="/api/w-matrices/{priced}/versions/1.0.0/file"' in bought
    assert "See the price" not in bought
    again = buying.post(CONFIRM, {"quote": token_in(asked(buying, bea, priced, "w-matrix"))})
    assert again.status_code == 409
    assert "has bought" in again.content.decode()


def test_its_owner_and_a_free_w_matrix_need_no_purchase(browser, client, certified, priced):
    assert "Download" in page(client, f"/w-matrices/{certified}")
    assert "See the price" not in page(browser, f"/w-matrices/{priced}")


@pytest.mark.parametrize(
    "path", ["memory/nothing", "memory/%00", "w-matrix/nothing", "nothing/x", "embedding/" + "x" * 200]
)
def test_what_is_not_there_cannot_be_bought(buying, registry, path):
    assert buying.get(f"/buy/{path}").status_code == 404
    assert buying.post(f"/buy/{path}", {}).status_code == 404


def test_who_is_not_logged_in_is_asked_to(client, memory):
    path = f"/buy/memory/{memory}"
    assert client.get(path)["Location"] == f"/log-in?next={path}"
    assert client.post(CONFIRM, {})["Location"].startswith("/log-in")
    assert client.post(CONFIRM, {"quote": "x"}).status_code == 302


def test_a_login_without_an_agent_registers_one_first(client, memory):
    client.force_login(User.objects.create_user("new"))
    assert client.get(f"/buy/memory/{memory}")["Location"] == "/my/agents/new"
    assert "Register an agent" in page(client, f"/memories/{memory}")


def test_a_form_without_its_token_is_refused(bea, memory):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="bea"))
    for path in (f"/buy/memory/{memory}", CONFIRM):
        assert strict.post(path, {"agent": bea, "form": "compressed"}).status_code == 403


def test_a_purchase_is_no_get(buying):
    assert buying.get(CONFIRM).status_code == 405
