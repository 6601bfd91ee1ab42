"""Sellers, and an encoder that runs no model."""

from datetime import timedelta

import pytest

from latentmas.jobs import handlers
from latentmas.rest.scopes import MEMORIES_PUBLISH, MEMORIES_WRITE, PURCHASES_WRITE
from marketplace.artefacts.publication import SCREEN
from tests.marketplace.artefacts.encoder import Encoder
from tests.marketplace.conftest import client_of


@pytest.fixture(autouse=True)
def _screening(monkeypatch):
    """Jobs that screen are started, whoever would do them."""
    if SCREEN not in handlers._KINDS:
        kind = handlers.Kind(dict, handlers.Queue.WORK, timedelta(hours=1), lambda _: SCREEN, {})
        monkeypatch.setitem(handlers._KINDS, SCREEN, kind)


@pytest.fixture
def shop(registry, alice, seller):
    """A client that may keep memories and sell them as Alice's agent."""
    return client_of(alice, MEMORIES_WRITE, MEMORIES_PUBLISH, PURCHASES_WRITE)


@pytest.fixture
def encoder(monkeypatch):
    monkeypatch.setattr("marketplace.artefacts.segments.sentence_encoder", Encoder)
