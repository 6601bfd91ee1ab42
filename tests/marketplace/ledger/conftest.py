"""Money that moves without sales: a gateway pays in, and streams of tests move it on."""

from collections.abc import Callable

import pytest
from django.test import Client

from latentmas.events import store
from latentmas.events.types import Metadata
from latentmas.rest.scopes import WALLET_READ
from marketplace.ledger.accounts import gateway
from marketplace.ledger.events import Purpose, Transfer
from marketplace.ledger.posting import posted

TEST = Metadata(actor="test")
BANK = gateway("manual", "USD")


def post(*transfers: Transfer, stream: str = "sale/s", purpose: Purpose = Purpose.TOP_UP) -> None:
    store.append(store.New(stream, [posted(purpose, transfers)]), metadata=TEST)


@pytest.fixture
def reader(seller: str, client_with: Callable[..., Client]) -> Client:
    """A client that may read the wallet of Alice's agent."""
    return client_with(WALLET_READ)
