"""Several writers at once. Invariant: positions have no gaps, and become visible in order.

Transactions are held open until a reader has looked at the log meanwhile; nothing sleeps.
"""

import threading
from functools import partial

import pytest
from django.db import connection, transaction

from latentmas.events import store
from latentmas.events.commands import execute, load
from latentmas.events.errors import LogBusy, VersionConflict
from latentmas.events.models import Event, LogHead
from latentmas.events.store import New
from latentmas.events.transactions import transact
from latentmas.events.verification import verify
from tests.events.sample import ACCOUNT, BY, Noted, Tally, count
from tests.events.threads import PATIENCE_SECONDS, in_threads

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.store]

WRITERS = 4
COMMANDS = 12
PACE_SECONDS = 0.001


class Reader:
    """Reads the log again and again from where it stopped, and lets writers wait for a look begun after their call."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.writers_left = WRITERS
        self._looks = 0
        self._changed = threading.Condition()

    def run(self) -> None:
        while True:
            with self._changed:
                last = self.writers_left == 0
            page = store.read_all(after=self.seen[-1] if self.seen else 0, limit=7)
            self.seen += [each.position for each in page]
            with self._changed:
                self._looks += 1
                self._changed.notify_all()
                if last and not page:
                    return
                self._changed.wait(PACE_SECONDS)  # leaves the interpreter to the writers

    def wait_for_a_look(self) -> None:
        with self._changed:
            enough = self._looks + 2  # the look under way may have read before the caller wrote
            assert self._changed.wait_for(lambda: self._looks >= enough, PATIENCE_SECONDS)

    def writer_done(self) -> None:
        with self._changed:
            self.writers_left -= 1


def test_a_follower_misses_nothing_and_sees_order_while_writers_hold_transactions_open() -> None:
    reader = Reader()

    def write(number: int) -> None:
        try:
            for index in range(COMMANDS):
                with transaction.atomic():
                    store.append(New(f"note/{number}", [Noted(str(index))]), metadata=BY)
                    if index % 3 == 0:
                        reader.wait_for_a_look()
        finally:
            reader.writer_done()  # a writer that fails must not leave the reader waiting for it

    in_threads(reader.run, *(partial(write, number) for number in range(WRITERS)))
    assert reader.seen == list(range(1, WRITERS * COMMANDS + 1))
    assert list(verify()) == []


def test_writers_of_one_stream_all_get_through_and_every_decision_saw_the_one_before() -> None:
    def write() -> None:
        for _ in range(COMMANDS):
            execute(ACCOUNT, "1", count, metadata=BY)

    in_threads(*[write] * WRITERS)
    state, version = load(ACCOUNT, "1")
    assert (state.total, version) == (WRITERS * COMMANDS, WRITERS * COMMANDS + 1)
    assert Tally.objects.get().total == WRITERS * COMMANDS
    assert list(verify()) == []


def test_of_writers_that_expect_the_same_version_exactly_one_wins() -> None:
    start = threading.Barrier(WRITERS)

    def write() -> bool:
        start.wait(PATIENCE_SECONDS)
        try:
            execute(ACCOUNT, "1", count, metadata=BY, expected=0)
        except VersionConflict:
            return False
        return True

    assert sorted(in_threads(*[write] * WRITERS)) == [False] * (WRITERS - 1) + [True]
    assert Event.objects.count() == 2


def test_an_append_that_waits_for_another_writer_of_its_stream_meets_a_conflict_not_its_rows() -> None:
    appended, proceed = threading.Event(), threading.Event()

    def first() -> None:
        with transaction.atomic():
            execute(ACCOUNT, "1", count, metadata=BY)
            appended.set()
            assert proceed.wait(PATIENCE_SECONDS)

    def second() -> None:
        assert appended.wait(PATIENCE_SECONDS)
        assert store.stream_version("account/1") == 0  # not committed, so not visible
        proceed.set()
        with pytest.raises(VersionConflict):
            store.append(New("account/1", count(ACCOUNT.empty), 0), metadata=BY)

    in_threads(first, second)
    assert Tally.objects.get().total == 1


def test_a_rollback_leaves_no_gap() -> None:
    class Refused(Exception):
        pass

    def write(number: int) -> None:
        for index in range(COMMANDS):
            try:
                with transaction.atomic():
                    store.append(New(f"note/{number}", [Noted(str(index))]), metadata=BY)
                    if index % 2:
                        raise Refused
            except Refused:
                pass

    in_threads(*(partial(write, number) for number in range(WRITERS)))
    kept = WRITERS * COMMANDS // 2
    assert list(Event.objects.values_list("position", flat=True)) == list(range(1, kept + 1))
    assert LogHead.objects.get().position == kept


def test_a_conflict_is_decided_anew_only_when_no_version_was_expected() -> None:
    tries: list[int] = []

    def work() -> int:
        tries.append(len(tries))
        store.append(New("note/1", [Noted(str(len(tries)))]), metadata=BY)
        if len(tries) < 3:
            raise VersionConflict("as if somebody had been faster")
        return len(tries)

    assert transact(work) == 3
    assert Event.objects.count() == 1
    tries.clear()
    with pytest.raises(VersionConflict):
        transact(work, conflicts=False)
    assert tries == [0]
    assert Event.objects.count() == 1


def test_a_writer_that_finds_the_log_locked_for_too_long_says_so() -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            store.append(New("note/1", [Noted("held")]), metadata=BY)
            held.set()
            assert release.wait(PATIENCE_SECONDS)

    def meet() -> None:
        assert held.wait(PATIENCE_SECONDS)
        patience = {"sqlite": "PRAGMA busy_timeout = 50", "postgresql": "SET lock_timeout = '50ms'"}
        with connection.cursor() as cursor:
            cursor.execute(patience[connection.vendor])
        try:
            with pytest.raises(LogBusy):
                store.append(New("note/2", [Noted("late")]), metadata=BY)
        finally:
            release.set()

    in_threads(hold, meet)
    assert Event.objects.count() == 1
    assert store.stream_version("note/2") == 0


def test_two_commands_that_lock_two_streams_crosswise_both_get_through() -> None:
    """On PostgreSQL this is a deadlock, which the database ends and `transact` repeats; SQLite lets one wait."""
    both_hold_one = threading.Barrier(2)
    tries: list[str] = []

    def write(one: str, two: str) -> None:
        def work() -> None:
            store.lock_streams([one])
            tries.append(one)
            if connection.vendor == "postgresql" and tries.count(one) == 1:
                both_hold_one.wait(PATIENCE_SECONDS)
            store.append(New(two, [Noted("x")]), metadata=BY)

        transact(work)

    in_threads(partial(write, "note/a", "note/b"), partial(write, "note/b", "note/a"))
    assert store.stream_versions(["note/a", "note/b"]) == {"note/a": 1, "note/b": 1}
    assert len(tries) == {"sqlite": 2, "postgresql": 3}[connection.vendor]
