"""Sealing, proving, verifying and rebuilding a long log, on a scratch database beside the one DATABASE_URL names.

The log is filled past the commands. At each size a thousand new events are sealed, several times, and proofs are made
of random events; at the largest, everything is verified and all projections are rebuilt while another process reads.

    python -m benchmarks.log                                   # SQLite, a temporary file
    DATABASE_URL=postgres://... python -m benchmarks.log       # PostgreSQL, a temporary database

The last line is JSON; times are in milliseconds where their names say no other unit.
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event

from benchmarks.event_store import scratch_database, set_up_django

SIZES = (10_000, 100_000, 1_000_000)
NEW = 1_000  # events under each new checkpoint
SEALS, PROOFS = 5, 100
READ_SECONDS = 0.02  # between two reads beside the rebuild


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sizes", type=lambda text: [int(each) for each in text.split(",")], default=SIZES)
    options = arguments.parse_args()
    with scratch_database() as url:
        os.environ["DATABASE_URL"] = url
        set_up_django()
        from django.core.management import call_command
        from django.db import connection

        from benchmarks.log_domain import listings

        call_command("migrate", verbosity=0)
        events, sizes = listings(), []
        for size in options.sizes:
            sizes.append(measure_size(size, events))
            print(json.dumps(sizes[-1]))
        result = {"engine": connection.vendor, "cpus": os.cpu_count(), "load": os.getloadavg()[0], "sizes": sizes}
        result["verification"] = measure_verification()
        print(json.dumps(result["verification"]))
        result["rebuild"] = measure_rebuild()
        connection.close()
    print(json.dumps(result))


def measure_size(size: int, events) -> dict[str, object]:
    """Fill the log up to a size, then seal a thousand new events several times and prove some."""
    from benchmarks.log_domain import BY, write
    from latentmas.events import store
    from latentmas.transparency import checkpoints, queries

    began = time.perf_counter()
    write(events, size - store.head_position())
    filled = time.perf_counter() - began
    first_seal, _ = timed(lambda: checkpoints.seal(metadata=BY))
    seals = []
    for _ in range(SEALS):
        write(events, NEW)
        seals.append(timed(lambda: checkpoints.seal(metadata=BY))[0])
    last = store.head_position()
    proofs = [timed(lambda: queries.inclusion(random.randint(1, last)))[0] for _ in range(PROOFS)]
    growths = [timed(lambda: queries.consistency(random.randint(1, last), last))[0] for _ in range(PROOFS)]
    return {
        "events": last,
        "fill_seconds": round(filled, 1),
        "first_seal_seconds": round(first_seal / 1000, 2),
        "seal_of_1000": spread(seals),
        "inclusion_proof": spread(proofs),
        "consistency_proof": spread(growths),
    }


def measure_verification() -> dict[str, object]:
    from latentmas.events import store
    from latentmas.events.verification import verify
    from latentmas.transparency.verification import verify_tree

    events = store.head_position()
    rows, row_faults = timed(lambda: list(verify()))
    tree, tree_faults = timed(lambda: list(verify_tree()))
    if row_faults or tree_faults:
        raise SystemExit(f"the log has faults: {[*row_faults, *tree_faults][:5]}")
    return {
        "events": events,
        "rows_seconds": round(rows / 1000, 1),
        "tree_seconds": round(tree / 1000, 1),
        "events_per_second": round(events / (rows + tree) * 1000),
    }


def measure_rebuild() -> dict[str, object]:
    """Rebuild all projections twice: from nothing, and with rows to replace, beside which another process reads."""
    from django.db import connection

    from latentmas.events.rebuilding import chosen, rebuild

    from_nothing, events = timed(lambda: rebuild(chosen([])))
    connection.close()
    context = multiprocessing.get_context("spawn")
    begin, stop, read = context.Event(), context.Event(), context.Queue()
    reader = context.Process(target=read_meanwhile, args=(begin, stop, read))
    reader.start()
    begin.wait()
    again, _ = timed(lambda: rebuild(chosen([])))
    stop.set()
    reads = read.get()
    reader.join()
    return {
        "events": events,
        "from_nothing_seconds": round(from_nothing / 1000, 1),
        "with_rows_to_replace_seconds": round(again / 1000, 1),
        "reads_meanwhile": len(reads),
        "read": spread(reads),
    }


def read_meanwhile(begin: Event, stop: Event, read: "multiprocessing.Queue[list[float]]") -> None:
    set_up_django()
    from django.utils import timezone

    from marketplace.listings.queries import Filters, browse

    offers = browse(Filters(), at=timezone.now())
    times = []
    list(offers[:25])
    begin.set()
    while not stop.is_set():
        elapsed, rows = timed(lambda: list(offers.all()[:25]))
        if len(rows) != 25:
            raise SystemExit("a reader saw a half-built projection")
        times.append(elapsed)
        time.sleep(READ_SECONDS)
    read.put(times)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Return milliseconds and result."""
    began = time.perf_counter()
    result = work()
    return (time.perf_counter() - began) * 1000, result


def spread(times: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(times), 2), "worst": round(max(times), 2)}


if __name__ == "__main__":
    main()
