"""Sellers, and an encoder that runs no model."""

import pytest

from latentmas.rest.scopes import MEMORIES_PUBLISH, MEMORIES_WRITE, PURCHASES_WRITE
from tests.marketplace.artefacts.encoder import Encoder
from tests.marketplace.conftest import client_of


@pytest.fixture
def shop(registry, alice, seller):
    """A client that may keep memories and sell them as Alice's agent."""
    return client_of(alice, MEMORIES_WRITE, MEMORIES_PUBLISH, PURCHASES_WRITE)


@pytest.fixture
def encoder(monkeypatch):
    monkeypatch.setattr("marketplace.artefacts.segments.sentence_encoder", Encoder)
