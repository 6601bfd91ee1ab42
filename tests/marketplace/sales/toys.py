"""A toy kind of goods for the sales: its items, prices and faults are what a test says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from latentmas import blobs
from latentmas.events import store
from latentmas.events.types import Metadata
from latentmas.protocol.errors import NotFound
from latentmas.protocol.money import Money, Split
from marketplace.ledger.accounts import gateway, wallet
from marketplace.ledger.balances import balance_of
from marketplace.ledger.events import Purpose, Transfer
from marketplace.ledger.models import Balance, LedgerTransfer
from marketplace.ledger.posting import posted
from marketplace.sales.commands import Buyer, Spender
from marketplace.sales.errors import Withdrawn
from marketplace.sales.goods import Delivery, Kind, Offer, Prepared, PriceFactors
from marketplace.sales.purchasing import buy
from marketplace.sales.quotes import Quoted, quote

TEST = Metadata(actor="command:test")
USD = "USD"
CONTENT = b"a toy"


@dataclass
class Toys:
    """Goods whose items are offers; `prepare` runs `work` first, and counts how often it was asked."""

    offers: dict[str, Offer] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    work: Callable[[str], object] = lambda sale: None
    prepared: list[str] = field(default_factory=list)
    answer: Mapping[str, Any] = field(default_factory=dict)

    def offer(self, item: str, version: str | None, delivery: Delivery, *, buyer: str | None) -> Offer:
        if item not in self.offers:
            raise NotFound(f"there is no toy {item!r}")
        if item in self.withdrawn:
            raise Withdrawn("the toy was withdrawn")
        return self.offers[item]

    def prepare(self, offer: Offer, delivery: Delivery, *, sale: str) -> Prepared:
        self.prepared.append(sale)
        self.work(sale)
        made = Prepared(digest=blobs.put_bytes(CONTENT), size=len(CONTENT), name="toy.safetensors")
        return replace(made, **self.answer)

    def put(self, item: str = "toy", *, seller: str, price: int = 1000, **changes: Any) -> Offer:
        """Offer an item; a memory without factors, where nothing else is said."""
        offer = Offer(
            kind=Kind.MEMORY,
            item=item,
            version="1.0.0",
            digest="sha256:" + "a" * 64,
            seller=seller,
            price=Money(price, USD),
            split=Split(80, 15, 5),
            validators=(),
        )
        self.offers[item] = replace(offer, **changes)
        return self.offers[item]


FACTORS = PriceFactors(tokens=1000, tier=0.5, quality=0.9, uniqueness=0.5)


def pay_in(agent: str, amount: int, currency: str = USD) -> None:
    """Fill an agent's wallet, as a top-up does."""
    transfer = Transfer(gateway("manual", currency), wallet(agent, currency), amount)
    store.append(store.New(f"top-up/{uuid4()}", [posted(Purpose.TOP_UP, [transfer])]), metadata=TEST)


def quoted(buyer: str, item: str = "toy", *, kind: Kind = Kind.MEMORY, delivery: Delivery | None = None) -> Quoted:
    return quote(kind, item, delivery=delivery or Delivery(), buyer=buyer)


def bought(buyer: str, item: str = "toy", *, spender: Spender | None = None, kind: Kind = Kind.MEMORY) -> str:
    """Buy an item with a quote of its own, and return the sale's id."""
    return buy(quoted(buyer, item, kind=kind).token, buyer=Buyer(buyer, spender), metadata=TEST)[0]


def buy_twice(buyer: str, item: str = "toy") -> str:
    """Buy an item with one quote, and send the same purchase again, as who got no answer does."""
    token = quoted(buyer, item).token
    first, again = (buy(token, buyer=Buyer(buyer), metadata=TEST) for _ in range(2))
    assert again == (first[0], False)
    return first[0]


def funds(agent: str, currency: str = USD) -> int:
    return balance_of(wallet(agent, currency))


def total() -> int:
    """The sum over all accounts, from the balances that have a row and the transfers of those that have none."""
    rows = sum(Balance.objects.values_list("amount", flat=True))
    names = {name for pair in LedgerTransfer.objects.values_list("debit", "credit") for name in pair}
    known = set(Balance.objects.values_list("account", flat=True))
    return rows + sum(balance_of(name) for name in names - known)
