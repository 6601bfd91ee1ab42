"""Kinds of jobs for the tests."""

from collections.abc import Callable

import pytest
from django.test import Client

from latentmas.jobs import handlers
from latentmas.jobs.handlers import Json, Run
from latentmas.protocol.errors import InvalidInput
from latentmas.rest.scopes import KV_CACHE_COMPUTE
from marketplace.accounts.models import ApiToken


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
def kinds(monkeypatch: pytest.MonkeyPatch) -> dict[str, handlers.Handler]:
    known = {**handlers._HANDLERS, "add": add, "refuse": refuse, "crash": crash}
    monkeypatch.setattr(handlers, "_HANDLERS", known)
    return known


@pytest.fixture
def api(client_with: Callable[..., Client]) -> Client:
    return client_with(KV_CACHE_COMPUTE)


@pytest.fixture
def requester(api: Client) -> str:
    """The one who asks through `api`, as its jobs name it."""
    return f"token:{ApiToken.objects.get().id}"
