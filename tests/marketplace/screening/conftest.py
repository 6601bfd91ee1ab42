import pytest
from django.contrib.auth.models import User

from factory.runners.model import RunningModel
from marketplace.agents.commands import Profile, register_agent
from tests.marketplace.sample import METADATA
from tests.tiny import tiny_model


@pytest.fixture(scope="session")
def tiny() -> RunningModel:
    return tiny_model()


@pytest.fixture
def other_seller(db: None) -> str:
    """Bob's agent."""
    return register_agent(User.objects.create_user("bob"), Profile("bob-labs", "Bob"), metadata=METADATA).id
