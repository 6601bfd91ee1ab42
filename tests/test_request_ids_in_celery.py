"""A request's id goes with the message to a worker in another thread, and into an exception or out of it again."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from latentmas import request_ids
from latentmas import request_ids_in_celery as carried

Ids = tuple[str | None, str | None]
SECONDS = 20


@pytest.fixture
def app() -> Celery:
    made = Celery("tests", broker="memory://", backend="cache+memory://", set_as_current=False)
    made.conf.task_default_queue = "request-ids"

    @made.task(name="ids", shared=False)
    def ids(fail: bool = False) -> Ids:
        if fail:
            raise ValueError(str(request_ids.current()))
        return request_ids.current(), request_ids.current_job()

    return made


@pytest.fixture
def worker(app: Celery) -> Iterator[None]:
    with start_worker(app, perform_ping_check=False, pool="solo", loglevel="ERROR"):
        yield


def sent(app: Celery, **arguments: Any) -> Any:
    return app.tasks["ids"].apply_async(kwargs=arguments)


def test_a_task_runs_under_the_id_of_the_request_that_published_it(app, worker):
    with request_ids.bound("request-1"):
        first = sent(app)
    with request_ids.bound("request-2"):
        second = sent(app)
    without = sent(app)
    assert first.get(timeout=SECONDS) == ["request-1", first.id]
    assert second.get(timeout=SECONDS) == ["request-2", second.id]
    assert without.get(timeout=SECONDS) == [None, without.id]


def test_a_failed_task_leaves_nothing_behind(app, worker):
    with request_ids.bound("request-1"):
        failed = sent(app, fail=True)
    with pytest.raises(ValueError, match="request-1"):
        failed.get(timeout=SECONDS)
    after = sent(app)
    assert after.get(timeout=SECONDS) == [None, after.id]
    assert carried._bound == {}


def test_a_task_that_is_run_at_once_keeps_its_callers_id(app):
    app.conf.task_always_eager = True
    with request_ids.bound("request-1"):
        done = sent(app)
        assert request_ids.current_job() is None
    assert done.get() == ("request-1", done.id)
