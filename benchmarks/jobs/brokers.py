"""Message brokers that a run starts for itself, in a folder of its own, beside those of the machine."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 20
DEBIAN = "/usr/lib/rabbitmq/bin"  # the script itself; the one on the path works on the machine's own server


@dataclass
class Server:
    """A server process that can be killed and started again on the same port and folder."""

    command: Sequence[str]
    port: int
    url: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens. Raises RuntimeError with what it said where it does not."""
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=os.environ | self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.command[0]} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it as a power failure would, without a farewell."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        while listens(self.port):  # it may be a grandchild of the script's
            time.sleep(0.05)
        self.process = None


def redis_program() -> str | None:
    return shutil.which("redis-server")


def rabbitmq_program() -> str | None:
    return shutil.which("rabbitmq-server", path=os.pathsep.join([DEBIAN, os.environ.get("PATH", "")]))


@contextmanager
def redis(*, persistent: bool = False) -> Iterator[Server]:
    """Yield a Redis that has started. One that is persistent writes every command to disk before it answers."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        port = free_port()
        kept = ["--appendonly", "yes", "--appendfsync", "always"] if persistent else ["--appendonly", "no"]
        command = [
            str(redis_program()),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            folder,
            *kept,
        ]
        with _running(Server(command, port, f"redis://127.0.0.1:{port}/0", Path(folder))) as server:
            yield server


@contextmanager
def rabbitmq() -> Iterator[Server]:
    """Yield a RabbitMQ that has started, with a port mapper of its own: Erlang would leave one behind."""
    with tempfile.TemporaryDirectory(prefix="rabbitmq-", ignore_cleanup_errors=True) as folder:
        port, mapper = free_port(), free_port()
        environment = rabbitmq_environment(Path(folder), port=port, mapper=mapper)
        ports = Server(["epmd", "-port", str(mapper), "-address", "127.0.0.1"], mapper, "", Path(folder))
        url = f"amqp://guest:guest@127.0.0.1:{port}//"
        with (
            _running(ports),
            _running(Server([str(rabbitmq_program())], port, url, Path(folder), environment)) as server,
        ):
            yield server


def rabbitmq_environment(folder: Path, *, port: int, mapper: int) -> dict[str, str]:
    """Return what tells a RabbitMQ that it is a node of its own, with everything below the folder.

    Its configuration is `rabbitmq.conf` in the folder, where there is one; `mapper` is the port of its own epmd.
    """
    return {
        "HOME": str(folder),  # for the cookie
        "RABBITMQ_NODENAME": f"private{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "absent"),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def listens(port: int) -> bool:
    """Return whether somebody listens at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
