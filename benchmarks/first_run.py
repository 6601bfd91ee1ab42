"""How long a new user waits: `make run` in a fresh clone with an empty home folder until the site answers, twice.

    python -m benchmarks.first_run

Needs git, make and Python 3.11; packages are downloaded. Ends with one JSON line.
"""

import json
import os
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.jobs.workers import answers

ADDRESS = "127.0.0.1:8791"
PATIENCE_SECONDS = 1800
POLL_SECONDS = 0.2
# What a package index may be configured by; nothing else of the environment is passed on.
KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as scratch:
        clone, home = Path(scratch) / "clone", Path(scratch) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], check=True)
        figures = {"first_run_seconds": served(clone, home), "second_run_seconds": served(clone, home)}
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(json.dumps(figures | {"peak_gigabytes": round(peak, 2)}))


def served(clone: Path, home: Path) -> float:
    """Start `make run`, wait until the site answers, stop it, and return the seconds that took."""
    environment = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("PIP_")}
    command = ["make", "run", f"ADDRESS={ADDRESS}"]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=clone, env=environment | {"HOME": str(home)}, start_new_session=True)
    try:
        while not answers(f"http://{ADDRESS}/healthz"):
            if process.poll() is not None or time.monotonic() - started > PATIENCE_SECONDS:
                raise SystemExit("make run ended or hung before the site answered")
            time.sleep(POLL_SECONDS)
        return round(time.monotonic() - started, 1)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


if __name__ == "__main__":
    main()
