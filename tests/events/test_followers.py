"""Followers: every event once, in order, whatever crashes and however many processes share the name."""

import threading

import pytest
from django.db import connection

from latentmas.events import store
from latentmas.events.followers import cursor, follow
from latentmas.events.models import FollowerCursor
from latentmas.events.store import New
from latentmas.events.types import Recorded
from tests.events.sample import BY, Noted
from tests.events.threads import PATIENCE_SECONDS, in_threads

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.store]


def write(count: int, *, stream: str = "note/1") -> None:
    for number in range(count):
        store.append(New(stream, [Noted(str(number))]), metadata=BY)


def test_it_hands_over_everything_in_pages_and_remembers_where_it_was() -> None:
    write(5)
    pages: list[list[int]] = []

    def handle(events: list[Recorded]) -> None:
        pages.append([each.position for each in events])

    assert follow("mails", handle, batch=2) == 5
    assert pages == [[1, 2], [3, 4], [5]]
    assert cursor("mails") == 5
    assert follow("mails", handle) == 0
    write(1)
    assert follow("mails", handle) == 1
    assert pages[3:] == [[6]]


def test_an_idle_follower_takes_no_lock() -> None:
    with connection.execute_wrapper(refuse_writes):
        assert follow("mails", lambda events: None) == 0


def refuse_writes(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
    assert sql.startswith("SELECT")
    assert "FOR UPDATE" not in sql
    return execute(sql, params, many, context)


def test_followers_of_different_names_do_not_disturb_each_other() -> None:
    write(3)
    assert follow("mails", lambda events: None) == 3
    assert follow("search", lambda events: None) == 3


def test_a_crash_in_the_middle_loses_nothing_and_repeats_only_the_page() -> None:
    write(5)
    seen: list[int] = []
    crashes = [True]

    def handle(events: list[Recorded]) -> None:
        store.append(New("note/out", [Noted(str(events[0].position))]), metadata=BY)
        if events[0].position == 3 and crashes.pop():
            raise ConnectionError("the power went")
        seen.extend(each.position for each in events)

    with pytest.raises(ConnectionError):
        follow("mails", handle, batch=2)
    assert seen == [1, 2]
    assert cursor("mails") == 2
    assert [each.data.text for each in store.read_stream("note/out")] == ["1"]
    crashes.append(False)
    follow("mails", lambda events: seen.extend(each.position for each in events), batch=2)
    assert seen == [1, 2, 3, 4, 5, 6]


def test_two_processes_of_one_name_share_the_work_without_doing_it_twice() -> None:
    write(20)
    start = threading.Barrier(2)
    seen: list[int] = []

    def run() -> int:
        start.wait(PATIENCE_SECONDS)
        return follow("mails", lambda events: seen.extend(each.position for each in events), batch=3)

    assert sum(in_threads(run, run)) == 20  # type: ignore[arg-type]
    assert sorted(seen) == list(range(1, 21))
    assert FollowerCursor.objects.get().position == 20


def test_a_second_process_waits_for_the_page_under_way_and_goes_on_behind_it() -> None:
    write(4)
    handling, both_called = threading.Event(), threading.Event()
    seen: dict[str, list[int]] = {"slow": [], "late": []}

    def slow(events: list[Recorded]) -> None:
        handling.set()
        assert both_called.wait(PATIENCE_SECONDS)
        seen["slow"] += [each.position for each in events]

    def run_late() -> int:
        assert handling.wait(PATIENCE_SECONDS)
        both_called.set()
        return follow("mails", lambda events: seen["late"].extend(each.position for each in events), batch=2)

    in_threads(lambda: follow("mails", slow, batch=2), run_late)
    assert sorted(seen["slow"] + seen["late"]) == [1, 2, 3, 4]
    assert seen["slow"][:2] == [1, 2]


def test_a_follower_at_work_misses_nothing_that_writers_append_meanwhile() -> None:
    writers, each_writes = 3, 15
    seen: list[int] = []
    done = threading.Barrier(writers + 1)

    def append(number: int) -> None:
        write(each_writes, stream=f"note/{number}")
        done.wait(PATIENCE_SECONDS)

    def run() -> None:
        while done.n_waiting < writers:
            follow("mails", lambda events: seen.extend(each.position for each in events), batch=4)
        done.wait(PATIENCE_SECONDS)
        follow("mails", lambda events: seen.extend(each.position for each in events), batch=4)

    in_threads(run, *[lambda number=number: append(number) for number in range(writers)])
    assert seen == list(range(1, writers * each_writes + 1))
