"""Prometheus figures of jobs: open ones by kind and state, and the times of those that ended in the last hour."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from prometheus_client import CollectorRegistry

from latentmas.jobs.metrics import JobCollector
from latentmas.jobs.models import Job, State

pytestmark = pytest.mark.django_db
NOW = timezone.now


def job(kind: str, state: State, *, age: int = 0, took: int | None = None, ended: int = 0) -> Job:
    """A job that was started `age` seconds ago, or took so long and ended so many seconds ago."""
    times: dict[str, Any] = {"created_at": NOW() - timedelta(seconds=age), "deadline": NOW()}
    if state in (State.DONE, State.FAILED):
        times["finished_at"] = NOW() - timedelta(seconds=ended)
        times["started_at"] = None if took is None else times["finished_at"] - timedelta(seconds=took)
    return Job.objects.create(kind=kind, arguments={"secret": "alice"}, requested_by="user:1", state=state, **times)


@pytest.fixture
def value():
    registry = CollectorRegistry()
    registry.register(JobCollector())
    return lambda name, **labels: registry.get_sample_value(f"latentmas_jobs_{name}", labels)


def test_open_jobs_by_kind_and_state_with_the_age_of_the_oldest_that_waits(value):
    job("a", State.QUEUED, age=100)
    job("a", State.QUEUED, age=10)
    job("a", State.RUNNING, age=500)
    job("b", State.RUNNING)
    assert value("open", kind="a", state="queued") == 2
    assert value("open", kind="a", state="running") == 1
    assert value("open", kind="b", state="queued") is None
    assert value("oldest_waiting_seconds", kind="a") == pytest.approx(100, abs=10)
    assert value("oldest_waiting_seconds", kind="b") is None


def test_times_of_jobs_that_ended_in_the_last_hour(value):
    job("a", State.DONE, took=10)
    job("a", State.DONE, took=30, ended=3000)
    job("a", State.DONE, took=1000, ended=4000)
    job("a", State.FAILED, took=2)
    job("b", State.FAILED, took=None)
    assert value("ended_last_hour", kind="a", state="done") == 2
    assert value("mean_seconds_last_hour", kind="a", state="done") == pytest.approx(20)
    assert value("longest_seconds_last_hour", kind="a", state="done") == pytest.approx(30)
    assert value("longest_seconds_last_hour", kind="a", state="failed") == pytest.approx(2)
    assert value("ended_last_hour", kind="b", state="failed") == 1
    assert value("mean_seconds_last_hour", kind="b", state="failed") is None


def test_a_scrape_takes_two_queries_however_many_jobs_there_are(django_assert_num_queries):
    for number in range(20):
        job(f"kind-{number}", State.QUEUED)
    with django_assert_num_queries(2):
        list(JobCollector().collect())
    with django_assert_num_queries(0):
        JobCollector().describe()
