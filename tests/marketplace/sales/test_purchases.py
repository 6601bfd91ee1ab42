"""A purchase takes the price, divides it and delivers; or it takes nothing at all."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.utils import timezone

from latentmas.events import store
from latentmas.protocol.errors import InvalidInput, LatentMASError, NotFound
from marketplace.agents.commands import Profile, register_agent
from marketplace.agents.models import Agent
from marketplace.ledger.accounts import platform, validators
from marketplace.ledger.balances import balance_of
from marketplace.ledger.errors import InsufficientFunds, WrongCurrency
from marketplace.pricing.commands import configure
from marketplace.sales.commands import Buyer, open_sale
from marketplace.sales.errors import (
    AlreadyEntitled,
    OwnGoods,
    QuoteExpired,
    QuoteInvalid,
    QuoteNotYours,
    QuoteOutdated,
    QuoteUsed,
    SaleInProgress,
    Withdrawn,
)
from marketplace.sales.goods import Delivery, Helper, Kind, Royalty
from marketplace.sales.models import Entitlement, Sale
from marketplace.sales.purchasing import buy
from marketplace.sales.queries import covers
from marketplace.sales.quotes import opened
from tests.marketplace.sales.toys import FACTORS, TEST, Toys, bought, funds, pay_in, quoted, total

pytestmark = pytest.mark.django_db


def test_the_price_is_divided_80_15_5_and_the_artefact_is_the_buyers(maker: str, buyer: str) -> None:
    sale = Sale.objects.get(id=bought(buyer))
    assert (sale.status, sale.price, sale.held) == ("captured", 1000, 1000)
    assert (funds(buyer), funds(maker)) == (9_000, 800)
    assert (balance_of(platform("USD")), balance_of(validators("USD"))) == (150, 50)
    assert (sale.file_name, sale.file_size) == ("toy.safetensors", 5)
    assert Entitlement.objects.get(sale=sale.id).agent == buyer
    assert total() == 0


def test_it_takes_two_commits_and_one_where_nothing_is_to_be_prepared(maker: str, buyer: str, toys: Toys) -> None:
    versions = {False: 4, True: 3}  # posting and opening, posting and capture; opening, posting and capture
    for ready, events in versions.items():
        toys.put(seller=maker, ready=ready)
        recorded = store.read_stream(f"sale/{bought(buyer)}")
        assert len(recorded) == events
        assert len({event.recorded_at for event in recorded}) == (1 if ready else 2)
    assert (funds(buyer), funds(maker), total()) == (8_000, 1_600, 0)


def test_the_same_quote_again_is_the_same_purchase(maker: str, buyer: str, toys: Toys) -> None:
    token = quoted(buyer).token
    first = buy(token, buyer=Buyer(buyer), metadata=TEST)
    assert buy(token, buyer=Buyer(buyer), metadata=TEST) == (first[0], False)
    assert (first[1], funds(buyer), len(toys.prepared)) == (True, 9_000, 1)


def test_a_quote_that_was_used_holds_beyond_its_expiry(maker: str, buyer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = quoted(buyer).token
    sale, _ = buy(token, buyer=Buyer(buyer), metadata=TEST)
    later = timezone.now() + timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert buy(token, buyer=Buyer(buyer), metadata=TEST) == (sale, False)


def test_what_cannot_be_prepared_costs_nothing_and_says_why(maker: str, buyer: str, toys: Toys) -> None:
    def fail(sale: str) -> None:
        assert funds(buyer) == 9_000  # held meanwhile
        raise InvalidInput("the model refuses")

    toys.work = fail
    token = quoted(buyer).token
    with pytest.raises(InvalidInput, match="the model refuses"):
        buy(token, buyer=Buyer(buyer), metadata=TEST)
    sale = Sale.objects.get()
    assert (sale.status, sale.void_reason, sale.void_code) == ("voided", "not-prepared", "INVALID_INPUT")
    assert (funds(buyer), funds(maker), total()) == (10_000, 0, 0)
    assert not Entitlement.objects.exists()
    with pytest.raises(QuoteUsed, match="INVALID_INPUT"):
        buy(token, buyer=Buyer(buyer), metadata=TEST)


def test_a_fault_of_ours_voids_too(maker: str, buyer: str, toys: Toys) -> None:
    toys.work = lambda sale: 1 / 0
    with pytest.raises(ZeroDivisionError):
        bought(buyer)
    assert (Sale.objects.get().status, funds(buyer)) == ("voided", 10_000)


def test_a_free_item_needs_no_wallet(maker: str, agent_of: Callable[[str], str], toys: Toys) -> None:
    toys.put(seller=maker, price=0)
    poor = agent_of("poor")
    sale = Sale.objects.get(id=bought(poor))
    assert (sale.status, sale.price, sale.shares) == ("captured", 0, [])


def test_fewer_tokens_than_quoted_cost_what_they_cost(maker: str, buyer: str, toys: Toys) -> None:
    toys.put(seller=maker, factors=FACTORS)
    offered = quoted(buyer)
    assert offered.quote.price == 1631 - 5  # a quality of .9 adds .225
    configure({"tokens_weight": 0}, metadata=TEST)  # of later quotes; this one keeps its own
    toys.answer = {"tokens": 10}
    sale = Sale.objects.get(id=buy(offered.token, buyer=Buyer(buyer), metadata=TEST)[0])
    assert (sale.held, sale.price, sale.tokens) == (1626, 1511, 10)  # .3 * .203432 for 10 tokens
    assert (funds(buyer), total()) == (10_000 - 1511, 0)


def test_more_tokens_than_quoted_cost_no_more(maker: str, buyer: str, toys: Toys) -> None:
    toys.put(seller=maker, factors=FACTORS)
    toys.answer = {"tokens": 5000}
    sale = Sale.objects.get(id=bought(buyer))
    assert sale.price == sale.held


def test_validators_helper_and_ancestors_have_their_shares(
    maker: str, buyer: str, agent_of: Callable[[str], str], toys: Toys
) -> None:
    one, two, ancestor, owner = (agent_of(name) for name in ("one", "two", "ancestor", "owner"))
    toys.put(seller=maker, price=999, validators=(one, two), royalties=(Royalty(ancestor, "old", 1_000),))
    toys.answer = {"helper": Helper(owner, "listing", "1.0.0")}
    sale = Sale.objects.get(id=bought(buyer))
    assert [funds(agent) for agent in (one, two, ancestor, owner)] == [25, 25, 99, 99]
    assert funds(maker) == 799 - 99 - 99
    assert balance_of(platform("USD")) == 150
    assert sum(share["amount"] for share in sale.shares) == 999
    assert total() == 0


@pytest.mark.parametrize("held", [0, 999])
def test_too_little_money_is_refused_and_nothing_happens(
    held: int, maker: str, agent_of: Callable[[str], str], toys: Toys
) -> None:
    poor = agent_of("poor")
    if held:
        pay_in(poor, held)
    with pytest.raises(InsufficientFunds):
        bought(poor)
    assert (funds(poor), Sale.objects.count(), toys.prepared) == (held, 0, [])


def test_money_in_another_currency_is_refused(maker: str, agent_of: Callable[[str], str]) -> None:
    swiss = agent_of("swiss")
    pay_in(swiss, 10_000, "CHF")
    with pytest.raises(WrongCurrency, match="the price is 1000 USD; the agent's wallet is in CHF"):
        bought(swiss)
    assert Sale.objects.count() == 0


def test_own_goods_are_refused_to_every_agent_of_the_login(maker: str, toys: Toys) -> None:
    owner = Agent.objects.get(id=maker).owner
    second = register_agent(User.objects.get(username="maker"), Profile("second-agent", "Second"), metadata=TEST)
    assert second.owner == owner
    for agent in (maker, second.id):
        with pytest.raises(OwnGoods):
            quoted(agent)


def test_an_altered_quote_is_refused(maker: str, buyer: str) -> None:
    made = quoted(buyer)
    payload, _, signature = made.token.rpartition(":")
    cheaper = signing.Signer(key="another", salt="marketplace.sales.quote").sign_object({"price": 1})
    for token in ("", "x", payload, f"{payload[:-1]}:{signature}", cheaper, "y" * 20_000):
        with pytest.raises(QuoteInvalid):
            buy(token, buyer=Buyer(buyer), metadata=TEST)
    assert opened(made.token) == made.quote


def test_a_token_signed_for_another_purpose_is_no_quote(buyer: str) -> None:
    with pytest.raises(QuoteInvalid):
        buy(signing.Signer(salt="sessions").sign_object({}), buyer=Buyer(buyer), metadata=TEST)


def test_an_expired_quote_is_refused(maker: str, buyer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = quoted(buyer).token
    later = timezone.now() + timedelta(seconds=601)
    monkeypatch.setattr(timezone, "now", lambda: later)
    with pytest.raises(QuoteExpired):
        buy(token, buyer=Buyer(buyer), metadata=TEST)


def test_somebody_elses_quote_is_refused_used_or_not(maker: str, buyer: str, agent_of: Callable[[str], str]) -> None:
    token = quoted(buyer).token
    other = agent_of("other")
    for _ in range(2):
        with pytest.raises(QuoteNotYours):
            buy(token, buyer=Buyer(other), metadata=TEST)
        buy(token, buyer=Buyer(buyer), metadata=TEST)


def test_a_withdrawn_item_is_refused_although_it_was_quoted(maker: str, buyer: str, toys: Toys) -> None:
    token = quoted(buyer).token
    toys.withdrawn.add("toy")
    with pytest.raises(Withdrawn):
        buy(token, buyer=Buyer(buyer), metadata=TEST)
    assert funds(buyer) == 10_000


def test_an_item_that_is_another_file_now_is_refused(maker: str, buyer: str, toys: Toys) -> None:
    token = quoted(buyer).token
    toys.put(seller=maker, digest="sha256:" + "b" * 64)
    with pytest.raises(QuoteOutdated):
        buy(token, buyer=Buyer(buyer), metadata=TEST)


def test_a_price_that_has_changed_since_is_the_quotes(maker: str, buyer: str, toys: Toys) -> None:
    token = quoted(buyer).token
    toys.put(seller=maker, price=5000)
    buy(token, buyer=Buyer(buyer), metadata=TEST)
    assert funds(buyer) == 9_000


def test_what_nobody_sells_is_not_found(maker: str, buyer: str) -> None:
    for kind, item in ((Kind.EMBEDDING, "toy"), (Kind.MEMORY, "nothing")):
        with pytest.raises(NotFound):
            quoted(buyer, item, kind=kind)


def test_a_purchase_under_way_is_not_begun_again(maker: str, buyer: str) -> None:
    made = quoted(buyer)
    open_sale(made.quote, Buyer(buyer), at=timezone.now(), metadata=TEST)
    with pytest.raises(SaleInProgress):
        buy(made.token, buyer=Buyer(buyer), metadata=TEST)
    assert funds(buyer) == 9_000


def test_a_capability_is_bought_once_for_its_major_version(maker: str, buyer: str, toys: Toys) -> None:
    toys.put(seller=maker, kind=Kind.W_MATRIX, ready=True)
    bought(buyer, kind=Kind.W_MATRIX)
    assert covers(Kind.W_MATRIX, "toy", "1.4.2", [buyer])
    assert not covers(Kind.W_MATRIX, "toy", "2.0.0", [buyer])
    toys.put(seller=maker, kind=Kind.W_MATRIX, ready=True, version="1.1.0")
    with pytest.raises(AlreadyEntitled):
        bought(buyer, kind=Kind.W_MATRIX)
    toys.put(seller=maker, kind=Kind.W_MATRIX, ready=True, version="2.0.0")
    bought(buyer, kind=Kind.W_MATRIX)
    assert funds(buyer) == 8_000


def test_a_capability_that_is_being_bought_is_not_bought_again(maker: str, buyer: str, toys: Toys) -> None:
    toys.put(seller=maker, kind=Kind.W_MATRIX)
    first, second = (quoted(buyer, kind=Kind.W_MATRIX) for _ in range(2))
    open_sale(first.quote, Buyer(buyer), at=timezone.now(), metadata=TEST)
    with pytest.raises(SaleInProgress):
        buy(second.token, buyer=Buyer(buyer), metadata=TEST)
    assert funds(buyer) == 9_000


def test_a_memory_is_bought_for_every_use(maker: str, buyer: str) -> None:
    assert bought(buyer) != bought(buyer)
    assert funds(buyer) == 8_000


def test_the_log_commits_to_a_query_and_does_not_hold_it(maker: str, buyer: str) -> None:
    secret = "what my patient said"
    made = quoted(buyer, delivery=Delivery(query=secret))
    sale, _ = buy(made.token, buyer=Buyer(buyer), metadata=TEST)
    (body,) = {event.data.delivery.query for event in store.read_stream(f"sale/{sale}") if event.type == "sale.opened"}
    assert body.startswith("sha256:")
    assert Sale.objects.get(id=sale).delivery["query"] == body


def test_every_error_of_a_purchase_has_a_code_of_its_own() -> None:
    errors: list[type[LatentMASError]] = [
        QuoteInvalid,
        QuoteNotYours,
        QuoteExpired,
        QuoteOutdated,
        QuoteUsed,
        SaleInProgress,
        OwnGoods,
        AlreadyEntitled,
        Withdrawn,
        InsufficientFunds,
        WrongCurrency,
    ]
    assert len({error.code for error in errors}) == len(errors)
