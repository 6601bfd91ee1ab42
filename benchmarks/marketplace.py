"""A large catalogue: how fast its page is for many clients at once, and the choice of the best version for a pair.

    DATABASE_URL=postgres://... python -m benchmarks.marketplace                          # a temporary database
    DATABASE_URL=postgres://... python -m benchmarks.marketplace --listings 10000 --seconds 5

One listing with figures of an evaluation suite, which nobody measured, is written to the log, projected and certified;
its rows are then written again and again with other models, prices and figures, three versions to a listing, past the
log. Clients ask one request after another, with no pause and each over one connection, of gunicorn with a worker for
each of two cores; clients, server and database share them. The last address is another one with every request: its
pages are all made, where those of the others are kept until the log grows. `best` is asked through the function that
the API calls, and its SQL alone, by the server's own measure. The last line is JSON, in milliseconds; `cpu` is the
processor time per request, whatever else the machine does, of which `server`, `database` and `clients` are the parts.
Twenty clients that never pause, on two cores, wait some ten times as long as that.
"""

import argparse
import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import psutil

from benchmarks.event_store import scratch_database, set_up_django
from benchmarks.jobs.brokers import free_port
from benchmarks.jobs.workers import answers, wait_for
from benchmarks.serving import answer_seconds, percentiles, running
from benchmarks.tables import print_table, rounded
from latentmas.protocol.quality import Cell, Interval, Quality, SuiteFigures, TokenMode

LISTINGS, VERSIONS = 100_000, 3  # versions of each listing
CLIENTS, CORES, THREADS = 20, 2, 4
PAGE_BAR, BEST_BAR = 60.0, 5.0  # milliseconds: 95th percentile of a page, a choice in the database
PAIRS_ASKED = 200
# What differs from row to row: every pair of models has as many listings; two in five are certified, one in twenty is
# private. `t` is the row that the projectors wrote, `n` the number of a listing, `k` that of a version of listing `l`.
NAMES = "(%(models)s::text[])"
COUNT = f"cardinality({NAMES})"
LISTING = {
    "id": "lpad(to_hex(n), 32, '0')::uuid::text",
    "seller": "'agent:' || mod(n, 1000)",
    "source_model": f"{NAMES}[1 + mod(n, {COUNT})]",
    "target_model": f"{NAMES}[1 + mod(n + 1 + mod(n / {COUNT}, {COUNT} - 1), {COUNT})]",
    "access": "CASE WHEN mod(n, 20) = 0 THEN 'private' ELSE 'public' END",
    "price_amount": "floor(random() * 5000)",
    "epsilon": "random()",
    "tier": "(ARRAY[NULL, NULL, NULL, 'bronze', 'silver'])[1 + mod(n / 7, 5)]",
}
VERSION = {
    "id": "l.id || '/1.0.' || k",
    "listing_id": "l.id",
    "version": "'1.0.' || k",
    "patch": "k",
    "epsilon": "random()",
    "file_digest": "'sha256:' || md5(l.id || k) || md5(k || l.id)",
    **{name: f"l.{name}" for name in ("source_model", "target_model", "access", "tier")},
}
# Of the one listing: the events until its measurement, and the cells of the suite, by length.
UNCERTIFIED = 3
REGISTERS = ("news", "code", "speeches")
CELLS = {256: 0.86, 1024: 0.75, 2048: 0.66}
BESIDE = (
    "source_tokens",
    "wrong_document",
    "own_tokens",
    "tokens_only",
    "random_w",
    "text_eighth",
    "reread",
    "in_place",
)
PATHS = (
    "/api/w-matrices",
    "/api/w-matrices?limit=20",
    "/api/w-matrices?source_model=smollm2-135m",
    "/api/w-matrices?tier=silver&price_max=100",
    "/api/w-matrices?family=SmolLM",
)
# Another one with every request, so that none of its answers has been kept; the numbers are prices that all are below.
EVERY_TIME = "/api/w-matrices?price_max={}"
OTHERS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listings", type=int, default=LISTINGS)
    parser.add_argument("--seconds", type=float, default=10.0, help="of asking for each address")
    options = parser.parse_args()
    with scratch_database() as url:
        os.environ |= {"DATABASE_URL": url, "THROTTLE_ANONYMOUS_READS": "off", "LOG_LEVEL": "ERROR"}
        set_up_django()
        from django.db import connection

        filled = fill(options.listings)
        choice = best_for_pairs()
        connection.close()
        with serving() as (address, server):
            pages = [page_times(address, path, server, seconds=options.seconds) for path in (*PATHS, EVERY_TIME)]
    print_table("a page, milliseconds", pages)
    met = {
        "page": all(each["p95"] < PAGE_BAR for each in pages if each["path"] in PATHS),
        "best": choice["sql_p95"] < BEST_BAR,
    }
    machine = {"cpus": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    print(json.dumps(rounded(filled | machine | {"clients": CLIENTS, "pages": pages, "best": choice, "met": met})))


def fill(listings: int) -> dict[str, Any]:
    """Write the catalogue, and return what there is."""
    from django.core.management import call_command
    from django.db import connection

    from benchmarks import log_domain
    from latentmas.events.rebuilding import chosen, rebuild
    from latentmas.registry.models import RegisteredModel
    from marketplace.listings.commands import certify_version
    from marketplace.listings.models import Listing, ListingVersion

    call_command("migrate", verbosity=0)
    call_command("load_registry")
    log_domain.write(log_domain.listings(on_a_suite(log_domain.QUALITY)), UNCERTIFIED)
    rebuild(chosen([]))
    certify_version(Listing.objects.get().id, version="1.0.0", metadata=log_domain.BY)
    models = sorted(RegisteredModel.objects.values_list("name", flat=True))
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(copies(Listing, LISTING, "generate_series(1, %(n)s) AS n"), {"n": listings, "models": models})
        cursor.execute(copies(ListingVersion, VERSION, f"listings_listing AS l, generate_series(1, {VERSIONS}) AS k"))
        cursor.execute("VACUUM ANALYZE listings_listing")
        cursor.execute("VACUUM ANALYZE listings_listingversion")
    counts = {"listings": Listing.objects.count(), "versions": ListingVersion.objects.count(), "models": len(models)}
    return {"engine": connection.vendor, **counts, "fill_seconds": time.perf_counter() - began}


def on_a_suite(quality: Quality) -> Quality:
    """Return the quality with figures of an evaluation suite, every cell with others beside the retention."""
    beside = {name: Interval(0.2, 0.18, 0.22) for name in BESIDE}
    cells = tuple(
        Cell(
            register,
            length,
            documents=24,
            scored_tokens=1536,
            aligned=Interval(value, value - 0.02, value + 0.02),
            **beside,
        )
        for length, value in CELLS.items()
        for register in REGISTERS
    )
    return replace(quality, suite=SuiteFigures("suite/1", "sha256:" + "e" * 64, TokenMode.TOKENS_KNOWN, cells))


def copies(model: Any, changed: dict[str, str], many: str) -> str:
    """Return SQL that writes the one row of a table again for each of many, with other values for some columns."""
    table, columns = model._meta.db_table, [field.column for field in model._meta.concrete_fields]
    values = ", ".join(changed.get(name, f't."{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} AS t, {many}"


def best_for_pairs() -> dict[str, Any]:
    """Choose for random pairs, and return what it takes in all and in the database alone."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from latentmas.protocol.errors import WMatrixNotFound
    from marketplace.listings.choosing.choice import best
    from marketplace.listings.models import ListingVersion

    rows = ListingVersion.objects.filter(version="1.0.1").order_by("id")
    pairs = list(rows.values_list("source_model", "target_model")[:PAIRS_ASKED])
    taken, in_database, counts = [], [], set()
    for source, target in pairs:
        began = time.perf_counter()
        # Where none of the pair is certified, that is found out the same way.
        with CaptureQueriesContext(connection) as queries, suppress(WMatrixNotFound):
            best(source_model=source, target_model=target, at=timezone.now())
        taken.append(time.perf_counter() - began)
        counts.add(len(queries))
        in_database.append(sum(execution_seconds(each["sql"]) for each in queries.captured_queries))
    return {
        "pairs": len(pairs),
        "queries": sorted(counts),
        **dict(zip(("p50", "p95"), percentiles(taken), strict=True)),
        **dict(zip(("sql_p50", "sql_p95"), percentiles(in_database), strict=True)),
    }


def execution_seconds(sql: str) -> float:
    """Return what PostgreSQL says that planning and executing a statement takes."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        (plan,) = cursor.fetchone()[0]
    return float(plan["Planning Time"] + plan["Execution Time"]) / 1e3


@contextmanager
def serving() -> "Iterator[tuple[str, subprocess.Popen[str]]]":
    """Yield the address of the site and its process, served as the Procfile does it, by one worker for each core."""
    address = f"127.0.0.1:{free_port()}"
    options = ["--bind", address, "--workers", str(CORES), "--threads", str(THREADS), "--log-level", "warning"]
    with running([sys.executable, "-m", "gunicorn", "latentmas.wsgi", *options]) as server:
        wait_for("the site", lambda: answers(f"http://{address}/healthz"))
        yield f"http://{address}", server


def page_times(address: str, path: str, server: "subprocess.Popen[str]", *, seconds: float) -> dict[str, Any]:
    """Let all clients ask for a page for so long, and return what an answer takes."""
    taken: list[float] = []
    until, numbers = time.monotonic() + seconds, itertools.count(OTHERS)

    def ask() -> None:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)  # as the SDK keeps one
        while time.monotonic() < until:
            began = time.perf_counter()
            connection.request("GET", path.format(next(numbers)))
            connection.getresponse().read()
            taken.append(time.perf_counter() - began)
        connection.close()

    answer_seconds(address + path.format(next(numbers)))
    began, before = time.perf_counter(), processor_seconds(server)
    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    wall, after = time.perf_counter() - began, processor_seconds(server)
    p50, p95 = percentiles(taken)
    figures = {"path": path, "requests": len(taken), "a_second": len(taken) / wall, "p50": p50, "p95": p95}
    # A database's session that ended in between is left out.
    spent = {name: sum(time - before[name].get(pid, 0) for pid, time in each.items()) for name, each in after.items()}
    cpu = {name: 1e3 * seconds / len(taken) for name, seconds in spent.items()}
    return figures | {"alone": 1e3 * min(taken), "cpu": sum(cpu.values())} | cpu


def processor_seconds(server: "subprocess.Popen[str]") -> dict[str, dict[int, float]]:
    """Return the processor time of each process of the server, of the database and of the clients, since it started."""
    from django.db import connection

    web = psutil.Process(server.pid)
    sessions = [each for each in psutil.process_iter(["cmdline"]) if names(each, connection.settings_dict["NAME"])]
    parts = {"server": [web, *web.children(recursive=True)], "database": sessions, "clients": [psutil.Process()]}
    return {name: {each.pid: sum(each.cpu_times()[:2]) for each in processes} for name, processes in parts.items()}


def names(process: psutil.Process, database: str) -> bool:
    """Return whether a process is a session of a database on this machine: PostgreSQL's title has its name."""
    title = " ".join(process.info["cmdline"] or ())
    return title.startswith("postgres:") and f" {database} " in title


if __name__ == "__main__":
    main()
