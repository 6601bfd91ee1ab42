"""Prometheus figures of the log: head, last event, and the lag of followers, which alone can have one."""

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from latentmas.events import store, triggers
from latentmas.events.followers import follow
from latentmas.events.metrics import EventLogCollector
from latentmas.events.models import LogHead
from latentmas.events.store import New
from tests.events.sample import BY, Noted

pytestmark = pytest.mark.django_db
Value = Callable[..., float | None]


@pytest.fixture
def value() -> Value:
    registry = CollectorRegistry()
    registry.register(EventLogCollector())
    return lambda name, **labels: registry.get_sample_value(f"latentmas_event_{name}", labels)


def write(count: int) -> None:
    for number in range(count):
        store.append(New("note/1", [Noted(str(number))]), metadata=BY)


def test_an_empty_log(value: Value) -> None:
    assert (value("log_head"), value("log_last_position")) == (0, 0)
    assert value("log_newest_timestamp_seconds") is None


def test_head_last_event_and_its_time(value: Value) -> None:
    write(3)
    assert (value("log_head"), value("log_last_position")) == (3, 3)
    assert value("log_newest_timestamp_seconds") == store.read_all()[-1].recorded_at.timestamp()


def test_a_follower_lags_by_what_it_has_not_handled(value: Value) -> None:
    write(2)
    follow("mails", lambda events: None)
    write(3)
    assert value("follower_lag", follower="mails") == 3
    follow("mails", lambda events: None)
    assert value("follower_lag", follower="mails") == 0
    assert value("follower_lag", follower="others") is None


def test_a_missing_head_row_shows_no_head_rather_than_zero(value: Value) -> None:
    write(1)
    with triggers.lifted():
        LogHead.objects.all().delete()
        assert (value("log_head"), value("log_last_position")) == (None, 1)


def test_a_scrape_takes_three_queries(django_assert_num_queries) -> None:
    write(5)
    with django_assert_num_queries(3):
        list(EventLogCollector().collect())
    with django_assert_num_queries(0):
        EventLogCollector().describe()
