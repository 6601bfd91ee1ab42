"""How fast pages and API answer while a fit runs beside them: idle and busy rounds by turns, in one run.

    python -m benchmarks.serving

A scratch catalogue of the simulated pairs, the web process as the Procfile starts it, and a niced process that does
what a measuring worker does: ridge fits of rows as wide as SmolLM2-135M's and Gemma-3-270M's, on all cores it wants.
In idle rounds it is stopped (SIGSTOP). Requests are sent one after the other. The last line is JSON; what else the
machine does is in `load`.
"""

import argparse
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.jobs.brokers import free_port
from benchmarks.jobs.workers import ROOT, answers, wait_for
from benchmarks.session import scratch_folder
from benchmarks.tables import print_table, rounded

PATHS = ("/", "/api/w-matrices")
BAR = 3.0  # times the idle 95th percentile
WIDTHS = (11_520, 9_216)
ROWS, CHUNKS, RANK, PENALTY = 1024, 12, 1024, 0.01
NICE = ("nice", "-n", "10")  # as the Procfile starts the worker that measures
WARM_UP = 20  # requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4, help="idle ones, and as many busy ones")
    parser.add_argument("--requests", type=int, default=100, help="to each address in each round")
    parser.add_argument("--fit", action="store_true", help=argparse.SUPPRESS)  # what the niced process runs
    options = parser.parse_args()
    if options.fit:
        fit_for_ever()
    with scratch_folder():
        fill()
        figures = measured(options.rounds, options.requests)
    print_table("milliseconds", figures["answers"])
    print(json.dumps(rounded(figures)))


def fill() -> None:
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    call_command("load_registry")
    call_command("generate_cold_start", "--publish", "--no-measured")
    connection.close()


def measured(rounds: int, requests: int) -> dict[str, object]:
    taken: dict[tuple[str, bool], list[float]] = {(path, busy): [] for path in PATHS for busy in (False, True)}
    load = [os.getloadavg()[0]]
    with serving() as address, fitting() as fit:
        for path in PATHS * WARM_UP:
            answer_seconds(address + path)
        for _ in range(rounds):
            for busy in (False, True):
                os.killpg(fit.pid, signal.SIGCONT if busy else signal.SIGSTOP)
                time.sleep(1)
                for path in PATHS:
                    taken[path, busy] += [answer_seconds(address + path) for _ in range(requests)]
            load.append(os.getloadavg()[0])
        if fit.poll() is not None:
            raise SystemExit("the fit ended, so the busy rounds were idle")
    answers = [compared(path, idle=taken[path, False], busy=taken[path, True]) for path in PATHS]
    return {"cpus": len(os.sched_getaffinity(0)), "load": load, "requests": rounds * requests, "answers": answers}


def compared(path: str, *, idle: list[float], busy: list[float]) -> dict[str, object]:
    (idle_50, idle_95), (busy_50, busy_95) = percentiles(idle), percentiles(busy)
    figures = {"idle_p50": idle_50, "idle_p95": idle_95, "busy_p50": busy_50, "busy_p95": busy_95}
    return {"path": path} | figures | {"ratio_p95": busy_95 / idle_95, "met": busy_95 <= BAR * idle_95}


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile in milliseconds."""
    cuts = statistics.quantiles(seconds, n=20)
    return 1e3 * cuts[9], 1e3 * cuts[18]


def answer_seconds(address: str) -> float:
    begun = time.perf_counter()
    with urllib.request.urlopen(address, timeout=60) as answer:
        answer.read()
    return time.perf_counter() - begun


@contextmanager
def serving() -> Iterator[str]:
    """Yield the address of the site, served by the command that the Procfile has for it."""
    address = f"127.0.0.1:{free_port()}"
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    command = shlex.split(lines["web"].replace("${ADDRESS:-127.0.0.1:8000}", address))
    os.environ["THROTTLE_ANONYMOUS_READS"] = "off"  # the measurement asks more often than a visitor may
    with running([sys.executable, "-m", *command]):
        wait_for("the site", lambda: answers(f"http://{address}/healthz"))
        yield f"http://{address}"


@contextmanager
def fitting() -> Iterator["subprocess.Popen[str]"]:
    """Yield the niced process once its first fit is under way."""
    with running([*NICE, sys.executable, "-m", "benchmarks.serving", "--fit"]) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


@contextmanager
def running(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def fit_for_ever() -> None:
    import numpy as np

    from factory.alignment.fit import fit_linear_map

    numbers = np.random.default_rng(0)
    chunk = tuple(numbers.standard_normal((ROWS, width), dtype=np.float32) for width in WIDTHS)
    print("fitting", flush=True)
    while True:
        fit_linear_map(lambda: iter([chunk] * CHUNKS), penalty=PENALTY, rank=RANK, progress=lambda done, total: None)


if __name__ == "__main__":
    main()
