"""Where the time goes when a passage is read by both models and all its arms are scored, in CPU seconds by part.

    OMP_NUM_THREADS=1 python -m benchmarks.scoring --w-matrix FILE [--lengths 256 1024] [--passages 3]

Passages are the first encyclopaedia texts of the suite; figures are medians over them. What other processes take of the
core does not count, but they slow its caches. Ends with one JSON line.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.session import models_of, set_up_django

REGISTER = "encyclopaedia"
PARTS = {  # of scoring, each a function where it is called; what remains is the rest
    "alignment": ("factory.measurement.evaluation", "exchange"),
    "reading in place": ("factory.measurement.rereading", "read_in_place"),
    "layers": ("factory.runners.packed", "read_together"),
    "head": ("factory.runners.likelihood", "nll_by"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--w-matrix", type=Path, required=True)
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--passages", type=int, default=3)
    options = parser.parse_args()
    set_up_django()
    found = {str(length): figures for length, figures in measured(options)}
    for length, figures in found.items():
        print(f"{length} tokens: " + ", ".join(f"{part} {seconds}" for part, seconds in figures.items()))
    print(json.dumps(found))


def measured(options: argparse.Namespace) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield each length with the median CPU seconds of each part; the control of the tokens alone is left out."""
    from factory.corpora.suite import load_suite
    from factory.measurement.arms import judged, scored
    from factory.measurement.suite import reader
    from latentmas.protocol.w_matrix import read_w_matrix

    w_matrix = read_w_matrix(options.w_matrix)
    source, target = models_of(w_matrix.document)
    read, matrix, cells = reader(source, target), judged(w_matrix), load_suite().cells
    shortest = min(cell.length for cell in cells)
    for length in options.lengths:
        documents = next(cell for cell in cells if (cell.register, cell.length) == (REGISTER, length)).documents
        stranger, rows = read(documents[0], length), []
        for document in documents[1 : options.passages + 2]:
            with clocked() as seconds:
                with timed(seconds, "reading"):
                    passage = read(document, length)
                with timed(seconds, "whole"):
                    scored(passage, stranger, matrix, target=target, whole=length == shortest)
            rows.append(seconds)
            stranger = passage
        yield length, _medians(rows[1:])  # the first one compiles


@contextmanager
def clocked() -> Iterator[dict[str, float]]:
    """Yield what will hold the seconds of every part that is entered meanwhile."""
    seconds: dict[str, float] = defaultdict(float)
    with ExitStack() as patches:
        for part, (module, name) in PARTS.items():
            function = getattr(import_module(module), name)
            patches.enter_context(mock.patch(f"{module}.{name}", _clocked(function, seconds, part)))
        yield seconds


@contextmanager
def timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    """Add the CPU seconds of what runs meanwhile."""
    started = time.process_time()
    yield
    seconds[part] += time.process_time() - started


def _clocked(function: Callable[..., Any], seconds: dict[str, float], part: str) -> Callable[..., Any]:
    def run(*given: Any, **options: Any) -> Any:
        with timed(seconds, part):
            return function(*given, **options)

    return run


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the median seconds of each part, of what remains and of all."""
    medians = {part: statistics.median(row[part] for row in rows) for part in (*PARTS, "reading", "whole")}
    whole = medians.pop("whole")
    medians["rest"] = whole - sum(medians[part] for part in PARTS)
    medians["reading and scoring"] = whole + medians["reading"]
    return {part: round(seconds, 3) for part, seconds in medians.items()}


if __name__ == "__main__":
    main()
