"""Listings to look at."""

import pytest
from django.contrib.auth.models import User

from latentmas.protocol.quality import Basis
from latentmas.rest.scopes import PURCHASES_WRITE
from marketplace.agents.commands import Profile, register_agent
from tests.marketplace import sample
from tests.marketplace.conftest import client_of


@pytest.fixture
def shelf(registry):
    """Four listings of different pairs, one of each basis."""
    return {
        "simulated": sample.make_listing("gpt-4", "llama-3-8b", quality=sample.unmeasured(epsilon=0.0)),
        "declared": sample.make_listing("gpt-4", "qwen-7b", quality=sample.unmeasured(Basis.DECLARED)),
        "activation": sample.make_listing("qwen-7b", "gpt-4", quality=sample.unmeasured(Basis.ACTIVATION)),
        "functional": sample.make_listing(quality=sample.functional(0.8)),
    }


@pytest.fixture
def buyer(db):
    """An agent, and a client that may buy as it."""
    user = User.objects.create_user("bea")
    agent = register_agent(user, Profile("bea-buys", "Bea"), metadata=sample.METADATA).id
    return agent, client_of(user, PURCHASES_WRITE)
