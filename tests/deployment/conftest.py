"""One deployment for all tests of a module, and nothing left of it afterwards."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment.native import Deployment
from tests.deployment.processes import Processes


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    # Not below pytest's own folder, which the accounts of the servers may not enter.
    with tempfile.TemporaryDirectory(prefix="latentmas-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        started = Processes(folder)
        try:
            yield started
        finally:
            started.stop_all()


@pytest.fixture(scope="module")
def deployment(processes: Processes) -> Deployment:
    deployment = Deployment(processes)
    deployment.wait_until_ready()
    return deployment
