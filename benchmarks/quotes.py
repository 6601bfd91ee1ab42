"""A quote among 100 000 memories: how long it takes, raw and aligned.

    python -m benchmarks.quotes                                    # SQLite, a temporary file
    DATABASE_URL=postgres://... python -m benchmarks.quotes        # PostgreSQL, a temporary database

One memory is listed and put on offer by the commands; its rows are then written again and again under other ids and
prices, past the log. Quotes are asked for random ones through `POST /api/memories/{id}/quote` in this process, with
authentication, throttling and all, and no network. The W-Matrix that aligned ones need is of numbers from a generator,
and its certificate's figures are made up: a quote looks for it and does not apply it. `cpu_ms` is the mean processor
time, the database's with it. The last line is JSON.
"""

import argparse
import json
import os
import tempfile
import time
from typing import Any
from uuid import UUID

import numpy as np

from benchmarks.event_store import scratch_database, set_up_django
from benchmarks.tables import print_table, rounded
from benchmarks.uniqueness.__main__ import analyse, processor_seconds

MEMORIES, ASKED, BATCH = 100_000, 200, 2_000
BAR = 50.0  # milliseconds: 95th percentile
DELIVERIES = {"raw": {"form": "raw"}, "aligned": {"form": "aligned", "target_model": "gemma-3-270m"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--memories", type=int, default=MEMORIES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quotes-") as folder, scratch_database() as url:
        os.environ |= {"DATABASE_URL": url, "DATA_DIR": folder, "LOG_LEVEL": "ERROR"}
        os.environ["THROTTLE_WRITES"] = "1000000/minute"
        token = prepare(options.memories)
        rows = [asked(token, options.memories, form) for form in DELIVERIES]
        from django.db import connection

        engine = connection.vendor
        connection.close()
    print_table(f"quotes among {options.memories} memories, {engine}", rows)
    machine = {"cpus": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    met = all(row["p95_ms"] < BAR for row in rows)
    print(json.dumps(rounded({"engine": engine, "memories": options.memories, **machine, "asked": rows, "met": met})))


def prepare(memories: int) -> str:
    """Fill the tables, and return the token of a buyer."""
    set_up_django()
    from io import StringIO

    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.utils import timezone

    from latentmas.rest.scopes import PURCHASES_WRITE
    from marketplace.accounts.commands import create_token
    from marketplace.agents.commands import Profile, register_agent
    from marketplace.artefacts.models import Artefact, ArtefactVersion
    from tests.marketplace.artefacts.sample import on_sale
    from tests.marketplace.exchange.sample import certified_listing
    from tests.marketplace.sample import METADATA, with_suite

    call_command("migrate", verbosity=0)
    call_command("load_registry", stdout=StringIO())
    certified_listing(at=timezone.now(), quality=with_suite())
    users = [User.objects.create_user(name) for name in ("seller", "buyer")]
    seller, _ = [register_agent(each, Profile(each.username, each.username), metadata=METADATA).id for each in users]
    first = on_sale(seller)
    artefact, version = Artefact.objects.get(id=first), ArtefactVersion.objects.get(artefact_id=first)
    for start in range(0, memories, BATCH):
        numbers = range(start, min(start + BATCH, memories))
        Artefact.objects.bulk_create(_copy(artefact, id=name(n), price_amount=100 + n % 5000) for n in numbers)
        ArtefactVersion.objects.bulk_create(
            _copy(version, id=f"{name(n)}/{version.version}", artefact_id=name(n)) for n in numbers
        )
    analyse()
    return create_token(users[1], name="benchmark", scopes=(PURCHASES_WRITE,))[1]


def name(number: int) -> str:
    """Return the id of a memory."""
    return str(UUID(int=number))


def _copy(row: Any, **changed: Any) -> Any:
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return type(row)(**values | changed)


def asked(token: str, memories: int, form: str) -> dict[str, Any]:
    """Ask for quotes for random memories, after one that warms up, and return times in milliseconds."""
    from django.test import Client

    client = Client(headers={"Authorization": f"Bearer {token}"}, SERVER_NAME="localhost")
    numbers = np.random.default_rng(5).choice(memories, min(1 + ASKED, memories), replace=False).tolist()
    times, spent = [], 0.0
    for number in numbers:
        started, before = time.perf_counter(), processor_seconds()
        answer = client.post(
            f"/api/memories/{name(number)}/quote", {"delivery": DELIVERIES[form]}, content_type="application/json"
        )
        times.append(1000 * (time.perf_counter() - started))
        assert answer.status_code == 200, answer.content
        if len(times) > 1:
            spent += processor_seconds() - before
    del times[0]
    return {
        "form": form,
        "median_ms": float(np.median(times)),
        "p95_ms": float(np.quantile(times, 0.95)),
        "most_ms": max(times),
        "cpu_ms": 1000 * spent / len(times),
    }


if __name__ == "__main__":
    main()
