"""The sketched fit at the all-layer widths of 8B and 70B models, and what it loses where the full fit is possible.

    python -m benchmarks.alignment_scale [--small] [--width W] [--rows N] [--sketch K]
    python -m benchmarks.alignment_scale --pair [SOURCE TARGET]

Without `--pair`: synthetic activations, low rank plus noise, the same width on both sides. Every figure comes from a
process of its own, so that its peak memory is its own; three numbers of rows show that the time is linear in them. The
time the generator takes is left out. With `--pair`: two real packs (files or models), the share of the held-out target
rows' variance that is explained. Ends with one JSON line.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.tables import print_table

if TYPE_CHECKING:
    from factory.packs.pack import OpenedPack

WIDTHS = (65_536, 163_840)  # all layers, keys and values of Llama-3 8B (32 x 8 x 128 x 2) and 70B (80 x 8 x 128 x 2)
ROWS, SKETCH, RANK = 2048, 2048, 1024
SMALL = {"widths": (2048, 4096), "rows": 512, "sketch": 128, "rank": 64}
CHUNK = 512
FACTORS, NOISE = 512, 0.3
PENALTY = 0.03
SKETCHES, POWERS = (1024, 2048, 4096), (1, 2)
MIB = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that it runs")
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--rows", type=int, help="of the smallest of three runs")
    parser.add_argument("--sketch", type=int)
    parser.add_argument("--rank", type=int)
    parser.add_argument("--one", action="store_true", help="a single run, in this process")
    parser.add_argument("--pair", nargs="*", metavar="PACK or MODEL")
    options = parser.parse_args()
    if options.pair is not None:
        print(json.dumps(on_pair(options)))
        return
    defaults = SMALL if options.small else {"widths": WIDTHS, "rows": ROWS, "sketch": SKETCH, "rank": RANK}
    for name in ("rows", "sketch", "rank"):
        setattr(options, name, getattr(options, name) or defaults[name])
    options.width = options.width or defaults["widths"]
    print(json.dumps(one_run(options) if options.one else at_widths(options)))


def at_widths(options: argparse.Namespace) -> dict[str, object]:
    """Run every width with one, two and three times the rows."""
    runs = []
    for width in options.width:
        for times in (1, 2, 3):
            command = [sys.executable, "-m", "benchmarks.alignment_scale", "--one", "--width", str(width)]
            for name, value in (("rows", times * options.rows), ("sketch", options.sketch), ("rank", options.rank)):
                command += [f"--{name}", str(value)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
            runs.append(json.loads(answer.stdout.splitlines()[-1]))
            print(runs[-1], flush=True)
    print_table("sketched fit", runs)
    return {"runs": runs, "linearity": [linearity(runs, width) for width in options.width]}


def linearity(runs: list[dict[str, float]], width: int) -> dict[str, float]:
    """Return what the second and the third portion of rows cost: their ratio is 1 where time is linear in rows."""
    first, second, third = (run["seconds"] for run in runs if run["width"] == width)
    return {
        "width": width,
        "second_portion_seconds": round(second - first, 2),
        "third_portion_seconds": round(third - second, 2),
        "fixed_seconds": round(2 * first - second, 2),
    }


def one_run(options: argparse.Namespace) -> dict[str, object]:
    from factory.alignment.sketched import accumulate_sketch, solve_sketch
    from factory.progress import silent

    (width,) = options.width
    rows = Activations(width)
    started = time.perf_counter()
    statistics = accumulate_sketch(
        lambda: rows.chunks(options.rows), width=options.sketch, rank=options.rank, progress=silent("fit")
    )
    accumulated = time.perf_counter()
    found = solve_sketch(statistics, penalty=PENALTY, rank=options.rank)
    ended = time.perf_counter()
    fit_seconds = ended - started - rows.seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB**2
    wrong = whole = 0.0
    for mine, theirs in rows.chunks(CHUNK, seed=1):
        wanted = found.target.apply(theirs)
        wrong += float(np.square(found.source.apply(mine) @ found.encoder @ found.decoder - wanted).sum(dtype="f8"))
        whole += float(np.square(wanted).sum(dtype="f8"))
    return {
        "width": width,
        "rows": options.rows,
        "sketch": statistics.basis.shape[1],
        "seconds": round(fit_seconds, 2),
        "of_which_solving": round(ended - accumulated, 2),
        "peak_gib": round(peak, 2),
        "gram_matrix_would_be_gib": round(width**2 * 8 / MIB**3, 1),
        "explained_held_out": round(1 - wrong / whole, 4),
        "explainable": round(1 / (1 + NOISE**2), 4),  # the rest of the target is noise of its own
    }


class Activations:
    """Rows of two models that share factors of falling strength; every pass over a seed gives the same ones."""

    def __init__(self, width: int) -> None:
        generator = np.random.default_rng(0)
        strengths = np.arange(1, FACTORS + 1, dtype=np.float32) ** -0.5
        strengths /= np.linalg.norm(strengths)
        self.loadings = [
            generator.standard_normal((FACTORS, width), dtype=np.float32) * strengths[:, None] for _ in range(2)
        ]
        self.seconds = 0.0  # spent in here

    def chunks(self, rows: int, *, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number, start in enumerate(range(0, rows, CHUNK)):
            started = time.perf_counter()
            generator = np.random.default_rng((seed, number))
            size = min(CHUNK, rows - start)
            factors = generator.standard_normal((size, FACTORS), dtype=np.float32)
            sides = []
            for loadings in self.loadings:
                side = generator.standard_normal((size, loadings.shape[1]), dtype=np.float32)
                side *= np.float32(NOISE)
                side += factors @ loadings
                sides.append(side)
            self.seconds += time.perf_counter() - started
            yield sides[0], sides[1]


def on_pair(options: argparse.Namespace) -> dict[str, object]:
    """Return the share of held-out variance that the full fit and sketches of several widths explain."""
    from benchmarks.session import pack_of, scratch_session

    names = options.pair or ["smollm2-135m", "gemma-3-270m"]
    with scratch_session() as session:
        packs = [pack_of(name, session) for name in names]
        session.unload_models()
        rows = [full_row(*packs, rank=options.rank or RANK)]
        for sketch in (options.sketch,) if options.sketch else SKETCHES:
            rows += [sketch_row(*packs, rank=options.rank or RANK, sketch=sketch, powers=powers) for powers in POWERS]
    print_table(" -> ".join(names), rows)
    return {"pair": names, "rank": options.rank or RANK, "fits": rows}


def full_row(source: "OpenedPack", target: "OpenedPack", *, rank: int) -> dict[str, object]:
    from benchmarks.hub import held_out_error, pair_rows
    from factory.alignment.fit import fit_linear_map
    from factory.corpora import Split
    from factory.progress import silent

    started = time.perf_counter()
    found = fit_linear_map(
        lambda: pair_rows(source, target, Split.CALIBRATION), penalty=PENALTY, rank=rank, progress=silent("fit")
    )
    seconds = time.perf_counter() - started
    explained = 1 - held_out_error(found, source, target)
    return {"fit": "full", "seconds": round(seconds, 1), "explained_held_out": round(explained, 4)}


def sketch_row(source: "OpenedPack", target: "OpenedPack", *, rank: int, sketch: int, powers: int) -> dict[str, object]:
    from benchmarks.hub import held_out_error, pair_rows
    from factory.alignment.sketched import accumulate_sketch, solve_sketch
    from factory.corpora import Split
    from factory.progress import silent

    started = time.perf_counter()
    statistics = accumulate_sketch(
        lambda: pair_rows(source, target, Split.CALIBRATION), width=sketch, powers=powers, progress=silent("fit")
    )
    found = solve_sketch(statistics, penalty=PENALTY, rank=min(rank, len(statistics.gram)))
    seconds = time.perf_counter() - started
    explained = 1 - held_out_error(found, source, target)
    name = f"sketch {sketch}, {powers} power{'s' if powers > 1 else ''}"
    return {"fit": name, "seconds": round(seconds, 1), "explained_held_out": round(explained, 4)}


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    main()
