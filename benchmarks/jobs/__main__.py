"""Jobs through a real broker: light ones a second, and jobs whose workers are killed; none lost, none twice.

    python -m benchmarks.jobs --broker rabbitmq                          # SQLite, a temporary file
    DATABASE_URL=postgres://... python -m benchmarks.jobs --broker redis # PostgreSQL, a temporary database

RabbitMQ and Redis are started for the run, in a folder of its own; Redis keeps nothing on disk. Every job must end once
in its row; what a handler did is counted by the lines that it wrote. The last line is JSON.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.event_store import scratch_database, set_up_django
from benchmarks.jobs import brokers
from benchmarks.jobs.workers import ended_afterwards, start_schedule, start_worker, wait_for

KINDS = "benchmarks.jobs.kinds"
BROKERS = ("rabbitmq", "redis", "files")
PARTS = ("light", "kills")
REQUESTERS = 2000  # of light jobs: nobody may have more than a few open
KILLED_WORKERS = 4  # of which one after the other is killed
SECONDS_BETWEEN_KILLS = (1.5, 3.0)
PATIENCE_SECONDS = 600
POLL_SECONDS = 0.1
Processes = list["subprocess.Popen[bytes]"]


def main() -> None:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # not without the servers and workers started here
    with (
        tempfile.TemporaryDirectory(prefix="jobs-") as folder,
        scratch_database() as database,
        broker_url(options.broker) as broker,
    ):
        os.environ |= {
            "DATABASE_URL": database,
            "DATA_DIR": folder,
            "CELERY_BROKER_URL": broker,
            "LOG_LEVEL": "ERROR",
            "BENCHMARK_RECORD": str(Path(folder) / "record"),
        }
        (Path(folder) / "record").touch()
        about = {"broker": options.broker, "database": database.partition(":")[0], "load_before": os.getloadavg()[0]}
        runs = measured(options)
        print(json.dumps(about | {"cpus": os.cpu_count()} | runs))
    if any(run["lost"] or run["twice"] for run in runs.values()):
        raise SystemExit("jobs were lost or done twice")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker", choices=BROKERS, default=BROKERS[0])
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--light", type=int, default=10_000, help="light jobs")
    parser.add_argument("--workers", type=int, default=2, help="processes that do light jobs")
    parser.add_argument("--seconds", type=int, default=200, help="jobs of a second each")
    parser.add_argument("--kills", type=int, default=20, help="of workers among these")
    return parser.parse_args()


@contextmanager
def broker_url(broker: str) -> Iterator[str]:
    if broker == "files":
        yield "files://localhost/"
        return
    with {"rabbitmq": brokers.rabbitmq, "redis": brokers.redis}[broker]() as server:
        yield server.url


def measured(options: argparse.Namespace) -> dict[str, dict[str, object]]:
    set_up_django()
    from django.core.management import call_command
    from django.db import connection

    import benchmarks.jobs.kinds  # noqa: F401 - registers them in this process too

    call_command("migrate", verbosity=0)
    runs = {}
    if "light" in options.parts:
        runs["light"] = light_jobs(options.light, workers=options.workers)
    if "kills" in options.parts:
        runs["kills"] = killed_workers(options.seconds, kills=options.kills)
    connection.close()
    return runs


def light_jobs(count: int, *, workers: int) -> dict[str, object]:
    """Start so many light jobs while workers do them, and return how many were started and done a second."""
    from benchmarks.jobs.kinds import LIGHT

    processes: Processes = []
    with ended_afterwards(processes):
        processes += [start_worker({}, include=KINDS, queues="light", name=f"light{n}") for n in range(workers)]
        start_jobs(LIGHT, workers)  # so that every worker has imported what it needs before the clock starts
        wait_for("the first jobs", lambda: not still_open(LIGHT), seconds=PATIENCE_SECONDS)
        begun = time.perf_counter()
        start_jobs(LIGHT, count)
        started = time.perf_counter() - begun
        wait_for("light jobs", lambda: not still_open(LIGHT), seconds=PATIENCE_SECONDS)
        took = time.perf_counter() - begun
    rates = {"started_per_second": round(count / started), "done_per_second": round(count / took)}
    return {"jobs": count, "workers": workers} | rates | outcome(LIGHT)


def killed_workers(count: int, *, kills: int) -> dict[str, object]:
    """Do jobs of a second while workers are killed in the middle of one, and return how all ended."""
    from benchmarks.jobs.kinds import SECOND

    processes: Processes = []
    chance = random.Random(0)

    def begin() -> None:
        name = f"work{len(processes)}"
        processes.append(start_worker({}, include=KINDS, queues="work,light", name=name))

    with ended_afterwards(processes):
        processes.append(start_schedule({}))
        for _ in range(KILLED_WORKERS):
            begin()
        start_jobs(SECOND, count)
        begun, killed = time.perf_counter(), 0
        while still_open(SECOND) and time.perf_counter() - begun < PATIENCE_SECONDS:
            time.sleep(chance.uniform(*SECONDS_BETWEEN_KILLS))
            if killed < kills and (busy := in_the_middle_of_a_job(processes)):
                chance.choice(busy).kill()
                killed += 1
                begin()
    return {"jobs": count, "killed": killed, "seconds": round(time.perf_counter() - begun, 1)} | outcome(SECOND)


def start_jobs(kind: str, count: int) -> None:
    from latentmas.jobs.commands import start

    for number in range(count):
        start(kind, arguments={"number": number}, requested_by=f"token:{number % REQUESTERS}")


def still_open(kind: str) -> bool:
    from latentmas.jobs.models import OPEN, Job

    time.sleep(POLL_SECONDS)  # the question itself costs the database something
    return bool(Job.objects.filter(kind=kind, state__in=OPEN).exists())


def in_the_middle_of_a_job(processes: Processes) -> Processes:
    """Return the processes whose last line in the record is that of a job that they began."""
    last = {}
    for identifier, what, *process in record():
        if what == "begun":
            last[identifier] = int(process[0])
        else:
            last.pop(identifier, None)
    return [each for each in processes if each.poll() is None and each.pid in last.values()]


def record() -> list[list[str]]:
    return [line.split() for line in Path(os.environ["BENCHMARK_RECORD"]).read_text().splitlines()]


def outcome(kind: str) -> dict[str, object]:
    """Return how many jobs did not end well, whose handler ended twice, and by how many attempts they ended."""
    from latentmas.jobs.models import Job, State

    ended = Counter(identifier for identifier, what, *_ in record() if what == "ended")
    rows = {str(each.id): each for each in Job.objects.filter(kind=kind)}
    attempts = Counter(each.attempts for each in rows.values())
    return {
        "lost": sum(each.state != State.DONE for each in rows.values()),
        "twice": sum(ended[identifier] != 1 for identifier in rows),
        "by_attempts": dict(sorted(attempts.items())),
    }


if __name__ == "__main__":
    main()
