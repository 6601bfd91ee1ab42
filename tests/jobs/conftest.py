"""Kinds of jobs for the tests."""

from collections.abc import Callable

import pytest
from django.test import Client

from latentmas.jobs import handlers
from latentmas.jobs.handlers import Json, Queue, Run, handler, results_of
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


def add_up(run: Run) -> Json:
    """Adds every list of numbers in a part of its own, then their sums in another."""
    run.stage("lists")
    sums = [each["sum"] for each in results_of(run.each("add", [{"numbers": each} for each in run.arguments["lists"]]))]
    run.stage("sums")
    return results_of(run.each("add", [{"numbers": sums}]))[0]


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "_KINDS", dict(handlers._KINDS))
    handler("add", shares={"add": 1.0})(add)
    handler("refuse")(refuse)
    handler("crash", queue=Queue.LIGHT)(crash)
    handler("add up", title=lambda arguments: f"{len(arguments['lists'])} lists", shares={"lists": 0.75, "sums": 0.25})(
        add_up
    )


@pytest.fixture
def api(client_with: Callable[..., Client]) -> Client:
    return client_with(KV_CACHE_COMPUTE)


@pytest.fixture
def requester(api: Client) -> str:
    """The one who asks through `api`, as its jobs name it."""
    return f"token:{ApiToken.objects.get().id}"
