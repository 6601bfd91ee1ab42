"""The processes of compose.yaml without containers: its commands and settings, with this machine's addresses in place
of the containers' names."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import httpx

from benchmarks.jobs.brokers import free_port
from benchmarks.jobs.workers import wait_for
from tests.deployment import compose
from tests.deployment.processes import Processes
from tests.deployment.servers import PASSWORD, S3, PostgreSQL, RabbitMQ

DOMAIN = "market.example"
VARIABLES = {
    "DOMAIN": DOMAIN,
    "FILES_DOMAIN": "files.market.example",
    "SECRET_KEY": "the-secret-key-of-the-proof-which-is-long-enough-for-production",
    "SECRET_KEY_FALLBACKS": "",
    "LOG_SIGNING_KEY": "11" * 32,
    "CERTIFICATE_SIGNING_KEY": "22" * 32,
    "RECEIPT_SIGNING_KEY": "33" * 32,
    "LOG_WITNESSES": "",
    "DATABASE_PASSWORD": PASSWORD,
    "BROKER_PASSWORD": PASSWORD,
    "STORE_KEY_ID": S3.credentials["AWS_ACCESS_KEY_ID"],
    "STORE_SECRET": PASSWORD,
    "STORE_RPC_SECRET": "unused",
}
BIND = "0.0.0.0:8000"
START_SECONDS = 120.0


class Deployment:
    """Servers, web processes, workers and schedule, started in the order of compose.yaml."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.services = compose.services(VARIABLES)
        settings = self._settings("migrate")
        self.broker = RabbitMQ(processes)
        self.database = PostgreSQL(processes)
        self.store = S3(processes, bucket=settings["BLOBS_S3_BUCKET"], region=settings["BLOBS_S3_REGION"])
        self.port = free_port()
        for part in self.services["migrate"]["command"].split('"')[1].split("&&"):
            self.manage(*shlex.split(part)[2:])
        self.broker.wait()
        self.start("web")
        processes.wait_for_port("web", self.port, seconds=START_SECONDS)
        for name in ("light", "measure", "schedule"):
            self.start(name)

    def start(self, service: str) -> None:
        """Start the process of a service, by its own command and settings."""
        command = self.services[service]["command"].replace(BIND, f"127.0.0.1:{self.port}")
        self.processes.start(service, shlex.split(command), self.environment(service), cwd=compose.ROOT)

    def environment(self, service: str = "migrate", **changes: str) -> dict[str, str]:
        """Return the variables of a service, with the addresses of this machine."""
        set_by_compose = self._settings(service)
        elsewhere = {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "HOME": str(self.processes.folder),
            "DATA_DIR": str(self.processes.folder / "data"),  # set by the image
            "DATABASE_URL": self.database.url(),
            "CELERY_BROKER_URL": self.broker.url,
            "BLOBS_S3_ENDPOINT_URL": self.store.url,
            "OMP_NUM_THREADS": "1",
        }
        if "PROMETHEUS_MULTIPROC_DIR" in set_by_compose:
            elsewhere["PROMETHEUS_MULTIPROC_DIR"] = str(self.processes.folder / "prometheus")
        return set_by_compose | elsewhere | changes

    def manage(self, *arguments: str, **changes: str) -> str:
        """Run a management command to its successful end and return its standard output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            env=self.environment(**changes),
            cwd=compose.ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"manage.py {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def is_healthy(self, service: str) -> bool:
        """Ask as the container's health check does."""
        _, program, *arguments = self.services[service]["healthcheck"]["test"]
        here = [each.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}") for each in arguments]
        return subprocess.run([program, *here], env=self.environment(service), check=False).returncode == 0

    def client(self, token: str = "") -> httpx.Client:
        """Return a client that speaks as the proxy passes requests on."""
        headers = {"Host": DOMAIN, "X-Forwarded-Proto": "https"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30)

    def wait_until_ready(self) -> None:
        with self.client() as client:
            wait_for("/readyz to answer 200", lambda: client.get("/readyz").status_code == 200, seconds=START_SECONDS)

    def _settings(self, service: str) -> dict[str, str]:
        # An empty variable is empty text to Compose, which fills it in after it has read the file.
        return {name: str(value or "") for name, value in self.services[service]["environment"].items()}
