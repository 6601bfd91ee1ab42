"""The servers of a deployment, private ones on free ports: PostgreSQL, RabbitMQ, and moto in the place of S3."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.jobs.brokers import free_port, rabbitmq_environment
from tests.deployment.processes import Processes, account, program

POSTGRESQL_FOLDERS = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
RABBITMQ_FOLDER = "/usr/lib/rabbitmq/bin"  # Debian's program of the same name on the path changes the account itself
START_SECONDS = 120.0
USER = "latentmas"
PASSWORD = "a-password-of-the-proof"


def own_folder(processes: Processes, name: str, **as_account: object) -> Path:
    """Make a folder below that of the processes, owned by the account that a server runs as."""
    folder = processes.folder / name
    folder.mkdir()
    if as_account:
        shutil.chown(folder, str(as_account["user"]), str(as_account["group"]))
    return folder


class PostgreSQL:
    """A cluster of its own, reached over TCP with a password."""

    def __init__(self, processes: Processes) -> None:
        as_account = account("postgres")
        folder = own_folder(processes, "postgresql", **as_account)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        data = str(folder / "data")
        initdb = [self.program("initdb"), "--username", USER, "--auth", "scram-sha-256", "--pwfile", str(secret)]
        quick = ["--no-sync", "--pgdata", data]
        subprocess.run([*initdb, *quick], env=_path(), cwd=folder, check=True, capture_output=True, **as_account)
        self._folder, self._processes, self._as_account = folder, processes, as_account
        self.port = free_port()  # as late as can be: other tests take ports meanwhile
        self.start()
        self.run("createdb", USER)

    def start(self) -> None:
        """Start the server, also again after it was stopped or killed."""
        command = [self.program("postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        options = ["-k", str(self._folder), "-c", "listen_addresses=127.0.0.1"]
        self._processes.start(
            "database",
            [*command, *options],
            _path(),
            stop_by=signal.SIGINT,  # do not wait for those who are connected
            cwd=self._folder,
            **self._as_account,
        )
        # It listens earlier.
        self._processes.wait_until("database", "accept connections", self.accepts, seconds=START_SECONDS)

    def program(self, name: str) -> str:
        return program(name, *POSTGRESQL_FOLDERS)

    def run(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on this cluster. Raises AssertionError with what it says where it fails."""
        done = self._run(name, *arguments)
        assert done.returncode == 0, done.stderr

    def accepts(self) -> bool:
        return self._run("pg_isready").returncode == 0

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": USER, "PGPASSWORD": PASSWORD}
        command = [self.program(name), *arguments]
        return subprocess.run(command, env=_path() | where, check=False, capture_output=True, text=True)

    def url(self, database: str = USER) -> str:
        return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"


class RabbitMQ:
    """A node of its own, with a port mapper of its own: the machine's would outlive it. It starts in ten seconds."""

    def __init__(self, processes: Processes) -> None:
        as_account = account("rabbitmq")
        server = program("rabbitmq-server", RABBITMQ_FOLDER)
        folder = own_folder(processes, "rabbitmq", **as_account)
        self._processes, self._port, mapper_port = processes, free_port(), free_port()
        (folder / "rabbitmq.conf").write_text(f"default_user = {USER}\ndefault_pass = {PASSWORD}\n")
        (folder / "plugins").write_text("[].\n")
        mapper = ["-port", str(mapper_port), "-address", "127.0.0.1"]
        processes.start("mapper", [program("epmd"), *mapper], _path(), cwd=folder, **as_account)
        environment = _path() | rabbitmq_environment(folder, port=self._port, mapper=mapper_port)
        processes.start("broker", [server], environment, cwd=folder, **as_account)
        self.url = f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self._port}/"

    def wait(self) -> None:
        self._processes.wait_for_port("broker", self._port, seconds=START_SECONDS)


class S3:
    """moto's server, with one bucket."""

    credentials = {"AWS_ACCESS_KEY_ID": "proof", "AWS_SECRET_ACCESS_KEY": PASSWORD}

    def __init__(self, processes: Processes, *, bucket: str, region: str) -> None:
        import boto3

        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        processes.start("store", command, _path() | self.credentials)
        processes.wait_for_port("store", port, seconds=START_SECONDS)
        boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=PASSWORD,
        ).create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})


def _path() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
