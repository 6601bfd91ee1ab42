"""Retention, controls, baselines, time and memory of the main job, on both directions of the packaged pair.

    python -m benchmarks.transfer [--calibration-tokens N] [--unified-dimension N]

Works in a scratch folder and keeps converted weights in the configured cache. Ends with one JSON line.
"""

import argparse
import json
import resource
import time

from benchmarks.session import scratch_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibration-tokens", type=int, default=25_000)
    parser.add_argument("--unified-dimension", type=int)
    parser.add_argument("--corpus")
    options = parser.parse_args()
    with scratch_folder():
        print(json.dumps(measure(options)))


def measure(options: argparse.Namespace) -> dict[str, object]:
    from django.conf import settings
    from django.core.management import call_command

    from factory.cold_start import planner
    from factory.cold_start.run import candidates
    from factory.corpora import load_corpus
    from factory.recipes.functional import generate_measured
    from factory.recipes.maps import FunctionalOrder
    from factory.session import FactorySession
    from latentmas.events.types import Metadata

    call_command("migrate", verbosity=0)
    call_command("load_registry")
    clock = Clock()
    session = FactorySession(
        read_corpus=lambda: load_corpus(options.corpus),
        cache=settings.CACHE_DIR,
        metadata=Metadata(actor="command:benchmark"),
        stage=clock.stage,
        calibration_tokens=options.calibration_tokens,
    )
    pairs = planner.plan(candidates(["smollm2-135m", "gemma-3-270m"]), planner.Limits(simulated=False))
    figures: dict[str, object] = {}
    for pair in pairs:
        order = FunctionalOrder(pair.source.name, pair.target.name, "1.0.0", 1000, options.unified_dimension)
        started = time.monotonic()
        made = generate_measured(order, session)
        retention = made.quality.retention
        assert retention is not None
        assert made.quality.suite is not None
        assert made.quality.reread is not None
        arms = {arm: getattr(retention, arm) for arm in retention.__dataclass_fields__}
        arms["the last tokens read by the target"] = made.quality.reread
        figures[f"{pair.source.name} -> {pair.target.name}"] = {
            **{arm: [round(each.value, 4), round(each.low, 4), round(each.high, 4)] for arm, each in arms.items()},
            "cells": {
                f"{cell.register}, {cell.length}": None if cell.aligned is None else round(cell.aligned.value, 4)
                for cell in made.quality.suite.cells
            },
            "documents": made.quality.documents,
            "scored_tokens": made.quality.test_samples,
            "unified_dimension": made.unified_dimension,
            "file_megabytes": round(made.file_size / 1e6, 1),
            "seconds": round(time.monotonic() - started, 1),
        }
    figures["seconds_by_stage"] = clock.seconds()
    figures["peak_gigabytes"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    return figures


class Clock:
    """Times the stages that the factory names: from the first report of one to the first of the next."""

    def __init__(self) -> None:
        self.marks: list[tuple[str, float]] = []

    def stage(self, name: str):
        self.marks.append((name, time.monotonic()))
        print(f"{name} ...", flush=True)
        return lambda _done, _total: None

    def seconds(self) -> dict[str, float]:
        ends = [at for _, at in self.marks[1:]] + [time.monotonic()]
        total: dict[str, float] = {}
        for (name, start), end in zip(self.marks, ends, strict=True):
            total[name] = round(total.get(name, 0.0) + end - start, 1)
        return total


if __name__ == "__main__":
    main()
