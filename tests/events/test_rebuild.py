"""Rebuilding projections: what the log gives replaces what the tables hold, or nothing changes."""

import threading
import time
from collections.abc import Callable, Sequence
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from latentmas.events import projections, store
from latentmas.events.commands import execute
from latentmas.events.rebuilding import check, chosen, rebuild
from latentmas.events.shadows import Difference
from latentmas.events.store import New
from latentmas.events.types import Envelope
from latentmas.protocol.errors import NotFound
from tests.events.sample import ACCOUNT, BY, Counted, Opened, Tally, count
from tests.events.threads import PATIENCE_SECONDS, in_threads

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.store]


@pytest.fixture(autouse=True)
def _live(committed: None) -> None:
    for name in "abc":
        store.append(New(f"account/{name}", [Opened(name, rate=0.1), Counted(1), Counted(2)]), metadata=BY)


def rows() -> list[dict[str, object]]:
    return list(Tally.objects.order_by("stream").values())


def test_what_live_projection_made_is_what_the_log_gives() -> None:
    assert check(chosen([]), page=2) == []


def test_a_rebuild_gives_the_same_rows_again() -> None:
    before = rows()
    assert rebuild(chosen([]), page=2) == 9
    assert rows() == before


def test_check_finds_a_changed_a_missing_and_a_surplus_row_and_rebuild_repairs_them() -> None:
    before = rows()
    Tally.objects.filter(stream="account/a").update(total=99)
    Tally.objects.filter(stream="account/b").delete()
    Tally.objects.create(stream="account/x", name="x", total=0, facts={}, rate=0)
    assert check(chosen([])) == [Difference("sample_tally", only_live=2, only_log=2)]
    rebuild(chosen([]))
    assert rows() == before
    assert check(chosen([])) == []


@pytest.mark.parametrize("change", [{"facts": {"by": "x"}}, {"rate": 0.2}, {"name": "A"}])
def test_check_sees_every_column(change: dict[str, object]) -> None:
    Tally.objects.filter(stream="account/a").update(**change)
    assert check(chosen([])) == [Difference("sample_tally", only_live=1, only_log=1)]


def test_check_changes_nothing() -> None:
    Tally.objects.filter(stream="account/a").update(total=99)
    before = rows()
    check(chosen([]))
    assert rows() == before


def test_a_failing_projector_leaves_the_live_rows_and_no_temporary_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    Tally.objects.filter(stream="account/a").update(total=99)
    before = rows()

    def fail(events: Sequence[Envelope]) -> None:
        Tally.objects.create(stream="half", name="x", total=0, facts={}, rate=0)
        raise ArithmeticError

    replace_project(monkeypatch, fail)
    with pytest.raises(ArithmeticError):
        rebuild(chosen([]))
    assert rows() == before
    assert temporary_tables() == []


@pytest.mark.parametrize("run", [rebuild, check])
def test_a_projector_that_writes_to_a_table_it_does_not_own_is_stopped(
    run: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trespass(events: Sequence[Envelope]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE events_followercursor SET position = 0")

    replace_project(monkeypatch, trespass)
    with pytest.raises(DatabaseError, match=r"not authorized|read-only transaction"):
        run(chosen([]))
    assert temporary_tables() == []


def test_rebuilding_twice_on_one_connection_works() -> None:
    before = rows()
    rebuild(chosen([]))
    check(chosen([]))
    rebuild(chosen([]))
    assert rows() == before
    assert temporary_tables() == []


def test_nothing_is_lost_that_writers_append_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    projected, appended = threading.Event(), threading.Event()
    project = chosen([])[0].project

    def project_and_wait(events: Sequence[Envelope]) -> None:
        project(events)
        if threading.current_thread() is rebuilder and not projected.is_set():
            projected.set()
            assert appended.wait(PATIENCE_SECONDS)

    rebuilder: threading.Thread | None = None

    def run() -> None:
        nonlocal rebuilder
        rebuilder = threading.current_thread()
        rebuild(chosen([]), page=4)

    def write() -> None:
        assert projected.wait(PATIENCE_SECONDS)
        for name in "adb":
            execute(ACCOUNT, name, count, metadata=BY)
        appended.set()
        for name in "adefgb":
            execute(ACCOUNT, name, count, metadata=BY)

    replace_project(monkeypatch, project_and_wait)
    in_threads(run, write)
    totals = Tally.objects.order_by("stream").values_list("stream", "total")
    assert "".join(f"{stream[-1]}{total}" for stream, total in totals) == "a5b5c3d2e1f1g1"
    assert check(chosen([])) == []


def test_a_writer_that_meets_the_swap_updates_the_new_row_not_the_deleted_one() -> None:
    """Without the table lock its UPDATE would wait for the deleted row, and then find nothing to update."""
    deleted, about_to_write = threading.Event(), threading.Event()

    def pause_after_delete(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        result = execute(sql, params, many, context)
        if sql.startswith("DELETE FROM"):
            deleted.set()
            assert about_to_write.wait(PATIENCE_SECONDS)
            wait_for_a_blocked_writer()
        return result

    def run() -> None:
        with connection.execute_wrapper(pause_after_delete):
            rebuild(chosen([]))

    def write() -> None:
        assert deleted.wait(PATIENCE_SECONDS)
        about_to_write.set()
        execute(ACCOUNT, "a", count, metadata=BY)

    in_threads(run, write)
    assert Tally.objects.get(stream="account/a").total == 4
    assert check(chosen([])) == []


def test_a_projector_is_chosen_by_its_name_or_the_end_of_it() -> None:
    (known,) = projections.projectors()
    assert chosen([known.name]) == chosen(["project_tally"]) == [known]
    with pytest.raises(NotFound, match="project_nothing"):
        chosen(["project_nothing"])


def test_a_table_has_one_projector() -> None:
    with pytest.raises(ValueError, match="sample_tally has two writers"):
        projections.projector(writes=[Tally], handles=[Opened])(lambda events: None)


def test_the_command_rebuilds_and_says_so() -> None:
    Tally.objects.all().delete()
    out = StringIO()
    call_command("rebuild_projections", projector=["project_tally"], stdout=out)
    assert out.getvalue() == "Rebuilt 1 table from 9 events.\n"
    assert len(rows()) == 3


def test_the_command_checks_and_fails_naming_the_table_and_the_rows() -> None:
    out = StringIO()
    call_command("rebuild_projections", check=True, stdout=out)
    assert out.getvalue() == "1 table as the log gives them.\n"
    Tally.objects.filter(stream="account/a").delete()
    out = StringIO()
    with pytest.raises(CommandError, match="differ from the log"):
        call_command("rebuild_projections", check=True, stdout=out)
    assert out.getvalue() == "sample_tally: 0 rows that the log does not give, 1 rows missing\n"


def test_the_command_names_an_unknown_projector() -> None:
    with pytest.raises(CommandError, match="NOT_FOUND: no projector is called 'nobody'"):
        call_command("rebuild_projections", projector=["nobody"])


def replace_project(monkeypatch: pytest.MonkeyPatch, project: projections.Project) -> None:
    (known,) = projections.projectors()
    other = projections.Projector(known.name, known.writes, known.handles, project)
    monkeypatch.setattr(projections, "_PROJECTORS", {known.name: other})


def wait_for_a_blocked_writer() -> None:
    """SQLite tells nobody who waits for its one lock, which is taken from the beginning."""
    if connection.vendor == "sqlite":
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT COUNT(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("no writer waits")


def temporary_tables() -> list[str]:
    sql = {
        "sqlite": "SELECT name FROM sqlite_temp_master WHERE type = 'table'",
        "postgresql": "SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'",
    }
    with connection.cursor() as cursor:
        cursor.execute(sql[connection.vendor])
        return [name for (name,) in cursor.fetchall()]
