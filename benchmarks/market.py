"""A thousand purchases of one memory by two hundred buyers at once: how many a second, and whether the books hold.

    python -m benchmarks.market                                        # SQLite, a temporary file
    DATABASE_URL=postgres://... python -m benchmarks.market            # PostgreSQL, a temporary database

Every purchase is a quote, a hold, the artefact (five bytes that are stored already, so that the ledger is measured and
not a model) and a capture: two commits. Each buyer has exactly the money for its five purchases; every tenth purchase
is sent twice, and each buyer tries one more than it can pay. At the end the books are checked: none lost, none doubled,
no wallet below zero, everything sums to zero, the log verifies and gives the same balances. The last line is JSON;
`cpu_milliseconds` is the processor time of clients and database for a purchase, whatever else the machine does.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from multiprocessing.synchronize import Barrier
from typing import Any

import psutil

from benchmarks.event_store import START_SECONDS, describe_durability, scratch_database, set_up_django

BUYERS, PURCHASES, PROCESSES, THREADS = 200, 1_000, 2, 8
PRICE, BAR = 100, 60.0  # minor units; purchases a second on PostgreSQL
TWICE_EVERY = 10
PATIENCE_SECONDS = 300
Answers = "multiprocessing.Queue[tuple[list[float], int, float]]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--buyers", type=int, default=BUYERS)
    parser.add_argument("--purchases", type=int, default=PURCHASES)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--threads", type=int, default=THREADS, help="of each process")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="market-") as folder, scratch_database() as url:
        os.environ |= {"DATABASE_URL": url, "DATA_DIR": folder, "LOG_LEVEL": "ERROR"}
        buyers = prepare(options.buyers, each=PRICE * (options.purchases // options.buyers))
        durability = describe_durability()
        measured = measure(buyers, options)
        faults = check(buyers, options.purchases)
    machine = {"cpus": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    measured["met"] = not faults and (durability["engine"].startswith("SQLite") or measured["per_second"] >= BAR)
    print(json.dumps(durability | machine | measured | {"faults": faults}))
    if faults:
        raise SystemExit("the books do not hold")


def prepare(buyers: int, *, each: int) -> list[str]:
    """Make the tables, a seller and the buyers with their money, and return the buyers' agents."""
    set_up_django()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from latentmas import blobs
    from marketplace.agents.commands import Profile, register_agent
    from tests.marketplace.sales.toys import CONTENT, TEST, pay_in

    call_command("migrate", verbosity=0)
    blobs.put_bytes(CONTENT)
    agents = []
    for number in range(buyers + 1):
        user = User.objects.create_user(f"user-{number}")
        agents.append(register_agent(user, Profile(f"agent-{number}", f"{number}"), metadata=TEST).id)
        if number:
            pay_in(agents[-1], each)
    os.environ["MARKET_SELLER"] = agents[0]
    connection.close()
    return agents[1:]


def measure(buyers: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Let all processes buy at once, and return the rate and what was refused."""
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(options.processes + 1), context.Queue()
    each = options.purchases // options.buyers
    shares = [buyers[number :: options.processes] for number in range(options.processes)]
    common = (each, options.threads, start, answers)
    processes = [context.Process(target=run_buyers, args=(share, *common), daemon=True) for share in shares]
    for process in processes:
        process.start()
    start.wait(START_SECONDS)
    began = time.perf_counter()
    counts = [answers.get(timeout=PATIENCE_SECONDS) for _ in processes]
    seconds = time.perf_counter() - began
    for process in processes:
        process.join()
    milliseconds = sorted(each for times, *_ in counts for each in times)
    bought, refused = len(milliseconds), sum(count[1] for count in counts)
    return {
        "buyers": options.buyers,
        "purchases": bought,
        "refused": refused,
        "seconds": round(seconds, 2),
        "per_second": round(bought / seconds, 1),
        "median_milliseconds": round(milliseconds[len(milliseconds) // 2], 1),
        "p95_milliseconds": round(milliseconds[len(milliseconds) * 95 // 100], 1),
        "cpu_milliseconds": round(1000 * sum(count[2] for count in counts) / bought, 1),
        "processes": options.processes,
        "threads": options.threads,
    }


def run_buyers(buyers: list[str], each: int, threads: int, start: Barrier, answers: Answers) -> None:
    """Buy `each` times for every buyer, and once more than it can pay; answer times, refusals and processor time."""
    set_up_django()
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    from marketplace.ledger.errors import InsufficientFunds
    from marketplace.sales import goods
    from tests.marketplace.sales.toys import Toys, bought, buy_twice

    toys = Toys()
    toys.put(seller=os.environ["MARKET_SELLER"], price=PRICE)
    goods._GOODS[goods.Kind.MEMORY] = toys

    def once(place: int) -> float | None:
        began = time.perf_counter()
        buyer = buyers[place % len(buyers)]
        try:
            (buy_twice if place % TWICE_EVERY == 0 else bought)(buyer)
        except InsufficientFunds:
            return None
        return 1000 * (time.perf_counter() - began)

    backends = []

    def connect() -> None:
        connection.ensure_connection()  # looked up in the thread, which has one of its own
        if connection.vendor == "postgresql":
            backends.append(psutil.Process(connection.connection.info.backend_pid))

    with ThreadPoolExecutor(threads, initializer=connect) as pool:
        start.wait(START_SECONDS)
        before = time.process_time()
        times = list(pool.map(once, range(len(buyers) * (each + 1))))
        used = time.process_time() - before + sum(sum(backend.cpu_times()[:2]) for backend in backends)
    done = [each for each in times if each is not None]
    answers.put((done, len(times) - len(done), used))


def check(buyers: list[str], purchases: int) -> list[str]:
    """Return what is wrong with the books, in words."""
    from django.db import connection

    from latentmas.events.rebuilding import check as differences
    from latentmas.events.rebuilding import chosen
    from latentmas.events.verification import verify
    from marketplace.ledger.models import Balance
    from marketplace.sales.models import Entitlement, Sale
    from tests.marketplace.sales.toys import funds, total

    seller = os.environ["MARKET_SELLER"]
    found = {
        "captured sales": (Sale.objects.filter(status="captured").count(), purchases),
        "all sales": (Sale.objects.count(), purchases),
        "entitlements": (Entitlement.objects.count(), purchases),
        "wallets below zero": (Balance.objects.filter(account__startswith="wallet:", amount__lt=0).count(), 0),
        "what the buyers have left": (sum(map(funds, buyers)), 0),
        "what the seller has": (funds(seller), purchases * PRICE * 80 // 100),
        "the sum of the ledger": (total(), 0),
        "tables that the log does not give": (len(differences(chosen([]))), 0),
        "faults of the log": (len(list(verify())), 0),
    }
    connection.close()
    return [f"{what}: {came}, not {right}" for what, (came, right) in found.items() if came != right]


if __name__ == "__main__":
    main()
