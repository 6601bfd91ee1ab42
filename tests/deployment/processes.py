"""Processes that the proof starts and stops: each in a session of its own, with its output in a file."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.jobs.brokers import listens
from benchmarks.jobs.workers import wait_for
from tests.missing import missing

STOP_SECONDS = 40.0
MARK = "LATENTMAS_PROOF"  # in the environment of everything that is started


def program(name: str, *folders: str) -> str:
    """Return the path of a program, which may lie in folders that are not on the path."""
    found = shutil.which(name, path=os.pathsep.join((*folders, os.environ["PATH"])))
    return found or missing(name)


def account(name: str) -> dict[str, Any]:
    """Return how to start a server that refuses to be root: as this account, where the tests are root."""
    return {"user": name, "group": name, "extra_groups": []} if os.geteuid() == 0 else {}


@dataclass
class Processes:
    """What has been started, by name. `folder` is for their files and output alone."""

    folder: Path
    running: dict[str, tuple[subprocess.Popen[bytes], int]] = field(default_factory=dict)

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stop_by: int = signal.SIGTERM,
        cwd: Path | None = None,
        **as_account: Any,
    ) -> None:
        with self.output(name).open("ab") as output:
            process = subprocess.Popen(
                command,
                env={**environment, MARK: str(self.folder)},
                cwd=cwd or self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **as_account,
            )
        self.running[name] = (process, stop_by)

    def output(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def wait_for_port(self, name: str, port: int, *, seconds: float) -> None:
        """Wait until a server listens. Raises AssertionError with its output where it does not."""
        self.wait_until(name, "listen", lambda: listens(port), seconds=seconds)

    def wait_until(self, name: str, what: str, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until a server is ready. Raises AssertionError with its output where it is not, or has ended."""
        process, _ = self.running[name]
        try:
            wait_for(f"{name} to {what}", lambda: process.poll() is not None or ready(), seconds=seconds)
            assert process.poll() is None, f"{name} ended with {process.returncode}"
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"{error}; its output:\n{self.output(name).read_text()[-3000:]}") from None

    def stop(self, name: str) -> None:
        """Ask a process to end. Raises AssertionError, after killing it, where it does not."""
        process, signal_to_send = self.running.pop(name)
        if process.poll() is None:
            process.send_signal(signal_to_send)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"{name} did not end within {STOP_SECONDS:g} seconds of being asked to") from None

    def kill(self, name: str) -> None:
        """Kill a process and its children without asking; PostgreSQL's are in sessions of their own."""
        process, _ = self.running.pop(name)
        root = psutil.Process(process.pid)
        family = [root, *root.children(recursive=True)]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()
        psutil.wait_procs(family, timeout=STOP_SECONDS)

    def stop_all(self) -> None:
        """Stop the processes, the last one first. Raises the first failure after all have been stopped."""
        failures = []
        for name in reversed(list(self.running)):
            try:
                self.stop(name)
            except AssertionError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def left(self) -> list[str]:
        """Return what still runs of all that was started, with its children, however far they detached themselves."""
        return [f"{each.pid} {each.info['name']}" for each in psutil.process_iter(["name"]) if self._is_ours(each)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            # PostgreSQL's processes overwrite their environment, but stay in its folder.
            return process.environ().get(MARK) == str(self.folder) or Path(process.cwd()).is_relative_to(self.folder)
        except psutil.Error:  # ended meanwhile, or somebody else's
            return False
