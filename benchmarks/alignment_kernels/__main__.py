"""The kernels of the fit and of the transfer against numpy and scipy on the same arrays, paired in one run.

    python -m benchmarks.alignment_kernels [--small] [--repetitions N] [--only NAME]

Both sides run in turns, so that what else the machine does hits both. Bars: 1.1 times the peer's time where that is
above 10 ms, 2 times for the symmetric product, for which BLAS has a routine of its own; results equal to 1e-4. Ends
with one JSON line.
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax

from benchmarks.alignment_kernels.cases import CASES, Case, Sizes
from benchmarks.tables import print_table

FULL = Sizes(rows=2048, source=11_520, target=9_216, rank=1024, tokens=1024, tall=65_536)
SMALL = Sizes(rows=256, source=720, target=576, rank=64, tokens=128, tall=4096)
MS = 1000.0
LEAST_MS = 10.0  # below this a ratio says nothing
EQUAL = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that it runs")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--only", help="the kernels whose name holds this")
    options = parser.parse_args()
    sizes = SMALL if options.small else FULL
    rows = []
    with jax.enable_x64(True):
        for make in CASES:
            case = make(sizes)
            if options.only is None or options.only in case.name:
                rows.append(measure(case, repetitions=options.repetitions))
                print(json.dumps(rows[-1]), flush=True)  # the whole takes long
            del case
            gc.collect()
    print_table("kernel against numpy/scipy", rows)
    print(json.dumps({"sizes": "small" if options.small else "full", "kernels": rows}))


def measure(case: Case, *, repetitions: int) -> dict[str, object]:
    """Run both sides in turns, the first time to compile and to compare their results."""
    mine, _ = timed(case.ours, case.fresh())
    theirs, _ = timed(case.peer, case.fresh_peer())
    difference = case.difference(mine, theirs)
    del mine, theirs
    pairs = []
    for _ in range(repetitions):
        pairs.append((timed(case.ours, case.fresh())[1], timed(case.peer, case.fresh_peer())[1]))
    ours, peer = (min(side) * MS for side in zip(*pairs, strict=True))
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    return {
        "kernel": case.name,
        "ours_ms": round(ours, 2),
        "peer_ms": round(peer, 2),
        "ratio": round(ratio, 3),
        "bar": case.bar,
        "difference": float(f"{difference:.2g}"),
        "met": bool(difference <= EQUAL and (ratio <= case.bar or peer < LEAST_MS)),
    }


def timed(run: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = jax.block_until_ready(run(*arguments))
    return result, time.perf_counter() - started


if __name__ == "__main__":
    main()
