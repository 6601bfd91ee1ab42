"""Sellers and buyers, what is on sale, and an encoder that runs no model."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from latentmas.rest.scopes import MEMORIES_PUBLISH, MEMORIES_WRITE, PURCHASES_WRITE
from marketplace.agents.commands import Profile, register_agent
from tests.marketplace.artefacts.buying import on_sale
from tests.marketplace.artefacts.encoder import Encoder
from tests.marketplace.artefacts.selling import kept
from tests.marketplace.conftest import client_of
from tests.marketplace.exchange.sample import certified_listing
from tests.marketplace.sales.toys import pay_in
from tests.marketplace.sample import METADATA, with_suite

STEPS = [{"text": "Assume x.", "end": 4, "thoughts": [[1.0, 2.0]]}, {"text": "So y.", "end": 10}]


@pytest.fixture
def shop(registry, alice, seller):
    """A client that may keep memories and sell them as Alice's agent."""
    return client_of(alice, MEMORIES_WRITE, MEMORIES_PUBLISH, PURCHASES_WRITE)


@pytest.fixture
def encoder(monkeypatch):
    monkeypatch.setattr("marketplace.artefacts.segments.sentence_encoder", Encoder)


@pytest.fixture
def buyer(db):
    """An agent with 100.00 USD."""
    user = User.objects.create_user("bea")
    agent = register_agent(user, Profile("bea-buys", "Bea"), metadata=METADATA).id
    pay_in(agent, 10_000)
    return agent


@pytest.fixture
def bea(buyer):
    return client_of(User.objects.get(username="bea"), PURCHASES_WRITE)


@pytest.fixture
def raw(shop):
    return on_sale(shop, "memories", {"memory": kept(shop)})


@pytest.fixture
def chain(shop):
    return on_sale(shop, "reasoning-chains", {"memory": kept(shop), "steps": STEPS})


@pytest.fixture
def mapped(registry):
    return certified_listing(at=timezone.now(), quality=with_suite())


@pytest.fixture
def long_term(shop, encoder):
    segments = [
        {"memory": kept(shop, 5), "text": "The red bicycle.", "session": 1},
        {"memory": kept(shop, 7), "text": "The blue house.", "session": 2},
    ]
    return on_sale(shop, "long-term-memories", {"segments": segments})
