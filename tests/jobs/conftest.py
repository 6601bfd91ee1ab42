"""Kinds of jobs for the tests."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from latentmas.jobs import handlers
from latentmas.jobs.handlers import Json, Run
from latentmas.protocol.errors import InvalidInput
from latentmas.rest.scopes import KV_CACHE_COMPUTE
from marketplace.accounts.commands import create_token


def add(run: Run) -> Json:
    progress = run.stage("add")
    for number in range(3):
        progress(number, 3)
    progress(3, 3)
    return {"sum": sum(run.arguments["numbers"]), "for": run.requested_by}


def refuse(run: Run) -> Json:
    raise InvalidInput("no numbers", field="numbers", resolution="Send some.")


def crash(run: Run) -> Json:
    raise RuntimeError("a secret of the machine")


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, handlers.Handler]]:
    known = {**handlers._HANDLERS, "add": add, "refuse": refuse, "crash": crash}
    monkeypatch.setattr(handlers, "_HANDLERS", known)
    return known


@pytest.fixture
def token(db) -> str:
    return create_token(User.objects.create_user("alice"), name="tests", scopes=[KV_CACHE_COMPUTE])[1]


@pytest.fixture
def api(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def requester(token: str) -> str:
    return f"token:{token.split('_')[1]}"
