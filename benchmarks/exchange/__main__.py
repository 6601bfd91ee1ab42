"""What a handed-over memory knows: facts stated in a context and asked afterwards, beside text, nothing, a stranger's.

    python -m benchmarks.exchange [--contexts N] [--w-matrix FILE]... [--method auto|raw] [--threads N] [--skip-speed]

Four questions a context, 26 contexts by default; every direction that a W-Matrix is given for, or both from the
catalogue. Times are measured in the same run, on as many cores as threads. Ends with one JSON line.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.session import pin, set_up_django, w_matrices
from benchmarks.tables import rounded

CONTEXTS = 26  # of four facts: 104 cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contexts", type=int, default=CONTEXTS)
    parser.add_argument("--w-matrix", type=Path, action="append", help="of one direction; default: the best listed")
    parser.add_argument("--method", choices=("auto", "raw"), default="auto", help="of packing the memory")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip-speed", action="store_true")
    options = parser.parse_args()
    if options.contexts < 2:
        parser.error("--contexts must be at least 2: the wrong document is another one's")
    set_up_django()
    print(json.dumps(rounded(measure(options))))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of each direction by name."""
    pin(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    from django.conf import settings

    from benchmarks.exchange import questions, run, speed
    from benchmarks.tables import print_table
    from factory.corpora import WIKIPEDIA, Split, load_corpus
    from factory.runners.model import load_model
    from latentmas.runners.weights import find_weights

    matrices = w_matrices(options.w_matrix)
    documents = load_corpus(WIKIPEDIA).part(Split.HELD_OUT)
    probes = questions.probes(documents, wanted=options.contexts)
    names = {name for matrix in matrices for name in (matrix.document.source_model, matrix.document.target_model)}
    models = {name: load_model(find_weights(name, cache=settings.CACHE_DIR)) for name in sorted(names)}
    figures: dict[str, Any] = {"contexts": len(probes), "cases": sum(len(each.facts) for each in probes)}
    for matrix in matrices:
        source, target = models[matrix.document.source_model], models[matrix.document.target_model]
        direction = run.Direction(source, target, matrix, options.method)
        outcomes = run.ask(direction, probes)
        arms = run.rows(outcomes)
        print_table(f"{direction.name}: {figures['cases']} questions, chance {1 / questions.ALTERNATIVES:.2f}", arms)
        outside = run.outside(outcomes)
        print(f"  memories outside the calibrated distribution: {'not judged' if outside is None else outside}")
        figures[direction.name] = {"arms": arms, "outside": outside}
        if not options.skip_speed:
            times = speed.speed(direction, documents)
            print_table(f"{direction.name}: time", [times])
            figures[direction.name]["speed"] = times
    return figures


if __name__ == "__main__":
    main()
