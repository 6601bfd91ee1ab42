"""How torch's threads wait for each other: asleep, as this project sets it, or spinning first, OpenMP's default.

    python -m benchmarks.waiting

Passes of a small network on all cores, alone and beside as many busy processes as there are cores; the policies take
turns. Medians of a second's passes; the last line is JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

POLICIES = ("default", "passive")
ROUNDS = 3
PASSES = """
import time, torch
weights = [torch.randn(640, 640) for _ in range(20)]
def network(rows):
    for each in weights:
        rows = torch.nn.functional.gelu(rows @ each * 0.04) + rows * 0.1
rows, passes = torch.randn(256, 640), 0
network(rows)
began = time.perf_counter()
while (elapsed := time.perf_counter() - began) < SECONDS:
    network(rows)
    passes += 1
print(passes / elapsed)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of every run")
    seconds = parser.parse_args().seconds
    found: dict[str, object] = {"cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    for name, processes in (("alone", 0), ("beside_busy_processes", os.cpu_count() or 1)):
        with busy(processes):
            runs = [{policy: passes(policy, seconds) for policy in POLICIES} for _ in range(ROUNDS)]
        medians = {policy: round(statistics.median(run[policy] for run in runs), 1) for policy in POLICIES}
        found[name] = {**medians, "passive_to_default": round(medians["passive"] / medians["default"], 2)}
        print(name, found[name])
    print(json.dumps(found))


def passes(policy: str, seconds: float) -> float:
    """Return passes a second of a process whose threads wait in this way."""
    program = PASSES.replace("SECONDS", str(seconds))
    environment = os.environ | {"OMP_WAIT_POLICY": policy}
    if policy == "default":
        del environment["OMP_WAIT_POLICY"]  # threads spin for a while before they sleep
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many processes computing, each in a session of its own like a service: Linux shares cores by session."""
    running = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) for _ in range(processes)
    ]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


if __name__ == "__main__":
    main()
