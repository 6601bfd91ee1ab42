"""Commands a second through the event store, on a scratch database beside the one DATABASE_URL names.

A command loads its stream, decides, projects one row and appends one event, in one transaction. Followers read along
and check that they see every position once and in order; at the end the whole log is verified.

    python -m benchmarks.event_store                                   # SQLite, a temporary file
    DATABASE_URL=postgres://... python -m benchmarks.event_store       # PostgreSQL, a temporary database

The last line is JSON.
"""

import argparse
import json
import multiprocessing
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from urllib.parse import urlsplit

WRITERS = (1, 4, 8)
FOLLOWERS = 1
STREAM_LENGTH = 10  # events; then a writer begins its next stream
POLL_SECONDS = 0.1
START_SECONDS = 60  # until every process has imported Django
LOSS = {
    "off": "a power failure can damage the database file",
    "normal": "a power failure can lose the commits since the last checkpoint, never the file's consistency",
    "full": "a power failure loses no commit",
    "extra": "a power failure loses no commit",
    "on": "a power failure loses no commit",
}
SYNCHRONOUS = ("off", "normal", "full", "extra")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=5.0, help="for each number of writers")
    arguments.add_argument("--followers", type=int, default=FOLLOWERS)
    options = arguments.parse_args()
    with scratch_database() as url:
        os.environ["DATABASE_URL"] = url
        prepare()
        durability, machine = describe_durability(), {"cpus": os.cpu_count(), "load_before": os.getloadavg()[0]}
        print(f"{durability['engine']}, synchronous = {durability['synchronous']}: {durability['loss']}.")
        runs = [measure(writers, options.followers, options.seconds) for writers in WRITERS]
        faults = verify_everything()
    print(json.dumps(durability | machine | {"runs": runs, "verification_faults": faults}))
    if faults or any(run["lost"] for run in runs):
        raise SystemExit("events were lost")


@contextmanager
def scratch_database() -> Iterator[str]:
    """Yield the URL of an empty database that is removed afterwards."""
    given = os.environ.get("DATABASE_URL", "")
    if not given.startswith(("postgres://", "postgresql://")):
        with tempfile.TemporaryDirectory(prefix="event-store-") as folder:
            yield f"sqlite:///{Path(folder) / 'log.sqlite3'}"
        return
    import psycopg
    from psycopg import sql

    name = f"event_store_{os.getpid()}"
    with psycopg.connect(urlsplit(given)._replace(path="/postgres").geturl(), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(given)._replace(path=f"/{name}").geturl()
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def set_up_django() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "latentmas.settings")
    django.setup()


def prepare() -> None:
    set_up_django()
    from django.core.management import call_command
    from django.db import connection

    from benchmarks.event_store_domain import Balance

    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Balance)
    connection.close()


def describe_durability() -> dict[str, object]:
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous")
            synchronous, engine = SYNCHRONOUS[cursor.fetchone()[0]], f"SQLite {sqlite3.sqlite_version}"
        else:
            cursor.execute("SELECT current_setting('synchronous_commit'), current_setting('server_version')")
            synchronous, version = cursor.fetchone()
            engine = f"PostgreSQL {version}"
    connection.close()
    return {"engine": engine, "synchronous": synchronous, "loss": LOSS.get(synchronous, LOSS["normal"])}


def measure(writers: int, followers: int, seconds: float) -> dict[str, object]:
    """Return commands a second with so many writers, and how many events a follower missed or saw out of order."""
    context = multiprocessing.get_context("spawn")
    start, stop = context.Barrier(writers + followers + 1), context.Event()
    written, followed = context.Queue(), context.Queue()
    readers = [
        context.Process(target=run_follower, args=(f"{writers}-{n}", start, stop, followed)) for n in range(followers)
    ]
    authors = [
        context.Process(target=run_writer, args=(f"{writers}-{n}", seconds, start, written)) for n in range(writers)
    ]
    for process in (*readers, *authors):
        process.start()
    start.wait(START_SECONDS)
    rates = [written.get() for _ in authors]
    stop.set()
    lost = sum(followed.get() for _ in readers)
    for process in (*readers, *authors):
        process.join()
    result = {
        "writers": writers,
        "commands_per_second": round(sum(count / elapsed for count, elapsed in rates)),
        "commands": sum(count for count, _ in rates),
        "followers": followers,
        "lost": lost,
    }
    print(f"{writers} writers: {result['commands_per_second']} commands a second; followers missed {lost} events")
    return result


def run_writer(name: str, seconds: float, start: Barrier, written: "multiprocessing.Queue[tuple[int, float]]") -> None:
    set_up_django()
    from benchmarks.event_store_domain import BALANCE, BY, deposit
    from latentmas.events.commands import execute

    execute(BALANCE, f"{name}-warm", deposit, metadata=BY)
    start.wait(START_SECONDS)
    began, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        execute(BALANCE, f"{name}-{count // STREAM_LENGTH}", deposit, metadata=BY)
        count += 1
    written.put((count, elapsed))


def run_follower(name: str, start: Barrier, stop: Event, followed: "multiprocessing.Queue[int]") -> None:
    set_up_django()
    import benchmarks.event_store_domain  # noqa: F401
    from latentmas.events import store
    from latentmas.events.followers import follow

    last, wrong = 0, 0

    def handle(events: list[store.Recorded]) -> None:
        nonlocal last, wrong
        for each in events:
            wrong += each.position != last + 1
            last = each.position

    follow(name, handle)
    start.wait(START_SECONDS)
    while not stop.is_set():
        follow(name, handle)
        stop.wait(POLL_SECONDS)
    follow(name, handle)
    followed.put(wrong + abs(store.head_position() - last))


def verify_everything() -> int:
    from django.db import connection

    import benchmarks.event_store_domain  # noqa: F401
    from latentmas.events.rebuilding import check, chosen
    from latentmas.events.verification import verify

    faults = list(verify()) + check(chosen(["project_balance"]))
    connection.close()
    return len(faults)


if __name__ == "__main__":
    main()
