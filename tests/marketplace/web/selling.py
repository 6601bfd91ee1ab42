"""Things on sale, and a buyer with money, for the tests of the pages."""

from django.contrib.auth.models import User
from django.test import Client

from latentmas.rest.scopes import MEMORIES_PUBLISH, MEMORIES_WRITE
from marketplace.sales.commands import Buyer
from marketplace.sales.goods import Delivery, Kind
from marketplace.sales.purchasing import buy
from marketplace.sales.quotes import quote
from tests.marketplace.artefacts.sample import screen
from tests.marketplace.artefacts.selling import sold
from tests.marketplace.conftest import client_of
from tests.marketplace.sample import METADATA


def memory_of(login: str, **more: object) -> str:
    """Sell a memory that can really be delivered, as the agent of a login; return its id."""
    seller = client_of(User.objects.get(username=login), MEMORIES_WRITE, MEMORIES_PUBLISH)
    card: dict[str, str] = sold(seller, **more)
    screen(card["id"])
    return card["id"]


def bought(agent: str, item: str, kind: Kind = Kind.MEMORY) -> str:
    """Buy an item as it was published; return the sale's id."""
    made = quote(kind, item, delivery=Delivery(), buyer=agent)
    return buy(made.token, buyer=Buyer(agent), metadata=METADATA)[0]


def page(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.content.decode()[:500]
    return answer.content.decode().replace("&#x27;", "'")
