"""Alice owns tokens and can log in, Charlie is a stranger."""

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture
def charlie(db) -> User:
    return User.objects.create_user("charlie")


@pytest.fixture
def logged_in(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client
