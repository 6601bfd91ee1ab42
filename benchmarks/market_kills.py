"""Purchases over HTTP while web and worker processes are killed and PostgreSQL breaks off: do the books hold?

    python -m benchmarks.market_kills            # with a PostgreSQL of its own on a free port

An agent lists a memory; buyers take quotes and use them without a pause, each over its own connection, and send a
purchase again wherever no answer came. Meanwhile the web process, the worker and PostgreSQL (without a checkpoint, as
in a power failure) are killed and started again in turns. Then everything is killed once more in full flow, and
`reconcile --all` runs, as after a crash. At the end every sale must be captured or voided, every purchase that was
answered captured, no hold left, nobody charged for anything else; the ledger adds up, the log verifies and gives the
same tables. The last line is JSON.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import httpx

from benchmarks.event_store import set_up_django
from benchmarks.jobs.brokers import free_port
from benchmarks.jobs.workers import ROOT, answers, wait_for
from tests.deployment.processes import Processes
from tests.deployment.servers import PostgreSQL

BUYERS, ROUNDS, SECONDS = 8, 2, 4.0
FUNDS = 10_000_000  # minor units of each buyer: more than it can spend
START_SECONDS = 120.0
PAUSE_SECONDS, TIMEOUT_SECONDS = 0.2, 10.0
PATIENCE = 3  # times that a buyer asks again while its purchase is under way; then reconciling ends it
ENDED = ("captured", "voided")
OFFER: dict[str, Any] = {"title": "A memory", "price": 100, "rights": "Made up.", "invertible": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--buyers", type=int, default=BUYERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="web, worker and database are killed in each")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of purchases before each kill")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="market-kills-") as name:
        Path(name).chmod(0o755)  # the account of the database enters it
        processes = Processes(Path(name))
        try:
            site = Site(processes, PostgreSQL(processes))
            measured = measure(site, options)
        finally:
            processes.stop_all()
    print(json.dumps({"cpus": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]} | measured))
    if measured["faults"]:
        raise SystemExit("the books do not hold")


class Site:
    """A web process and a worker with its schedule, on a database of their own."""

    def __init__(self, processes: Processes, database: PostgreSQL) -> None:
        self.processes, self.database = processes, database
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        changes = {"DATABASE_URL": database.url(), "DATA_DIR": str(processes.folder), "LOG_LEVEL": "ERROR"}
        os.environ |= changes | {"THROTTLE_WRITES": "1000000/minute"}

    def start_web(self) -> None:
        bound = ["--bind", f"127.0.0.1:{self.port}", "--workers", "1", "--threads", "8", "--log-level", "error"]
        self._start("web", "gunicorn", "latentmas.wsgi", *bound)
        wait_for("the site to answer", lambda: answers(f"{self.url}/healthz"), seconds=START_SECONDS)

    def start_worker(self) -> None:
        """Start the worker, which screens what is listed, and reconciles and seals by the schedule in it."""
        kind = ["--queues", "work,light", "--pool", "threads", "--concurrency", "2", "--beat"]
        self._start("worker", "celery", "--quiet", "-A", "latentmas.celery", "worker", *kind)

    def break_database(self) -> None:
        """Kill PostgreSQL with all its connections, and let it recover."""
        self.processes.kill("database")
        self.database.start()

    def _start(self, name: str, *command: str) -> None:
        self.processes.start(name, [sys.executable, "-m", *command], os.environ, cwd=ROOT)


@dataclass
class Buyer:
    """Buys until it is told to stop, and remembers what came of it."""

    agent: str
    token: str
    answered: set[str] = field(default_factory=set)  # sales that the site has answered with
    unsure: set[str] = field(default_factory=set)  # of which the buyer does not know the end
    repeated: int = 0  # purchases that had to be sent again

    def shop(self, url: str, item: str, stop: threading.Event) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS) as client:
            while not stop.is_set():
                quote = _sent(client, f"/api/memories/{item}/quote", {})
                if quote is None or quote.status_code != 200:
                    time.sleep(PAUSE_SECONDS)
                    continue
                self._use(client, f"/api/memories/{item}/use", quote.json(), stop)

    def _use(self, client: httpx.Client, path: str, quote: dict[str, Any], stop: threading.Event) -> None:
        self.unsure.add(quote["id"])
        for asked in range(1_000_000):
            answer = _sent(client, path, {"quote": quote["quote"]})
            self.repeated += asked == 1
            if answer is not None and answer.is_success:
                self.answered.add(answer.json()["id"])
                self.unsure.discard(quote["id"])
                return
            code = None if answer is None or answer.status_code >= 500 else answer.json()["code"]
            if stop.is_set() or code == "QUOTE_USED" or (code and asked > PATIENCE):
                return
            time.sleep(PAUSE_SECONDS)


def _sent(client: httpx.Client, path: str, body: dict[str, Any]) -> httpx.Response | None:
    """Return the answer, None where none came."""
    try:
        return client.post(path, json=body)
    except httpx.TransportError:
        return None


def measure(site: Site, options: argparse.Namespace) -> dict[str, Any]:
    """Let the buyers buy while everything is killed in turns, and return counts and what is wrong."""
    seller, buyers = prepare(options.buyers)
    site.start_web()
    site.start_worker()
    item = listed(site.url, seller)
    stop = threading.Event()
    threads = [threading.Thread(target=each.shop, args=(site.url, item, stop)) for each in buyers]
    for thread in threads:
        thread.start()
    started = time.perf_counter()
    for _ in range(options.rounds):
        time.sleep(options.seconds)
        site.processes.kill("web")
        site.start_web()
        time.sleep(options.seconds)
        site.processes.kill("worker")
        site.start_worker()
        site.break_database()
    time.sleep(options.seconds)
    for name in ("web", "worker", "database"):
        site.processes.kill(name)
    seconds = time.perf_counter() - started
    stop.set()
    for thread in threads:
        thread.join()
    site.database.start()
    found = reconciled(buyers)
    return {"buyers": len(buyers), "kills": 3 * options.rounds + 3, "seconds": round(seconds, 1)} | found


def prepare(count: int) -> tuple[str, list[Buyer]]:
    """Make the tables, the registry, a seller and buyers with money; return the seller's token and the buyers."""
    set_up_django()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from latentmas.rest.scopes import MEMORIES_PUBLISH, MEMORIES_READ, MEMORIES_WRITE, PURCHASES_WRITE
    from marketplace.accounts.commands import create_token
    from marketplace.agents.commands import Profile, register_agent
    from tests.marketplace.sales.toys import TEST, pay_in

    call_command("migrate", verbosity=0)
    call_command("load_registry", verbosity=0, stdout=StringIO())

    def login(name: str, *scopes: str) -> Buyer:
        user = User.objects.create_user(name)
        agent = register_agent(user, Profile(name, name), metadata=TEST).id
        return Buyer(agent, create_token(user, name="benchmark", scopes=scopes)[1])

    seller = login("seller", MEMORIES_READ, MEMORIES_WRITE, MEMORIES_PUBLISH)
    buyers = [login(f"buyer-{number}", PURCHASES_WRITE) for number in range(count)]
    for each in buyers:
        pay_in(each.agent, FUNDS)
    connection.close()
    return seller.token, buyers


def listed(url: str, token: str) -> str:
    """List a memory, wait until the worker has screened it, and return its id."""
    from django.db import connection

    from awareness_sdk import AwarenessClient
    from tests.marketplace.exchange.sample import memory

    snapshot = memory(20)
    connection.close()  # it is killed later
    with AwarenessClient(token, url) as client:
        item = str(client.publish_memory(snapshot, **OFFER)["id"])
        wait_for(
            "the worker to screen the memory",
            lambda: client.memory_on_sale(item)["versions"][0]["screening"] == "passed",
            seconds=START_SECONDS,
        )
    return item


def reconciled(buyers: list[Buyer]) -> dict[str, Any]:
    """Reconcile as after a crash, and return what became of the sales and what is wrong with the books, in words."""
    from django.core.management import call_command
    from django.db.models import Sum

    from latentmas.events.rebuilding import check, chosen
    from latentmas.events.verification import verify
    from marketplace.ledger.models import Balance
    from marketplace.sales.models import Entitlement, Sale
    from tests.marketplace.sales.toys import funds, total

    left_open = Sale.objects.filter(status="open").count()
    call_command("reconcile", "--all", verbosity=0, stdout=StringIO())
    answered = set().union(*(each.answered for each in buyers))
    unsure = set().union(*(each.unsure for each in buyers))
    status = dict(Sale.objects.values_list("id", "status"))
    captured = {sale for sale, state in status.items() if state == "captured"}
    paid = dict(Sale.objects.filter(status="captured").values_list("buyer").annotate(Sum("price")))
    entitled = set(Entitlement.objects.values_list("sale", flat=True))
    holds = Balance.objects.filter(account__startswith="hold:").exclude(amount=0)
    wrong = {
        "sales that are neither captured nor voided": sum(each not in ENDED for each in status.values()),
        "holds left": holds.count(),
        "answered purchases that are not captured": len(answered - captured),
        "captured sales that nobody asked for": len(captured - answered - unsure),
        "wallets that do not hold what was not spent": sum(
            funds(each.agent) != FUNDS - paid.get(each.agent, 0) for each in buyers
        ),
        "entitlements that are not of a captured sale, and the other way round": len(captured ^ entitled),
        "the sum of the ledger": total(),
        "tables that the log does not give": len(check(chosen([]))),
        "faults of the log": len(list(verify())),
    }
    return {
        "answered": len(answered),
        "captured": len(captured),
        "voided": len(status) - len(captured),
        "open_after_the_crash": left_open,
        "sent_again": sum(each.repeated for each in buyers),
        "faults": [f"{what}: {count}" for what, count in wrong.items() if count],
    }


if __name__ == "__main__":
    main()
