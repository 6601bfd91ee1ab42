"""Retention on the *selection* documents for several penalties and unified dimensions: how the defaults were chosen.

    python -m benchmarks.ridge [SOURCE TARGET]

Held-out documents are not touched. Uses the converted weights in the configured cache, and a scratch folder. Ends
with one JSON line.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.session import scratch_folder

if TYPE_CHECKING:
    from factory.measurement.evaluation import Memory
    from factory.packs.pack import OpenedPack

PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1)
DIMENSIONS = (256, 512, 1024)
Retained = Callable[["Memory"], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="smollm2-135m")
    parser.add_argument("target", nargs="?", default="gemma-3-270m")
    options = parser.parse_args()
    with scratch_folder():
        print(json.dumps(sweep(options.source, options.target)))


def sweep(source: str, target: str) -> dict[str, object]:
    from django.conf import settings
    from django.core.management import call_command

    from factory.corpora import Split, load_corpus
    from factory.measurement.evaluation import aligned_retention, bounds_of
    from factory.measurement.passages import read_passages
    from factory.progress import silent
    from factory.session import FactorySession
    from latentmas.events.types import Metadata

    call_command("migrate", verbosity=0)
    session = FactorySession(load_corpus, settings.CACHE_DIR, Metadata(actor="command:benchmark"), silent)
    packs = session.pack(source), session.pack(target)
    models = {"source": session.model(source), "target": session.model(target)}
    documents = session.corpus.part(Split.SELECTION)
    passages = read_passages(documents, **models, wanted=len(documents), progress=silent("read"))
    bounds = bounds_of(passages, target=models["target"])

    def retained(memory: "Memory") -> float:
        interval = aligned_retention(memory, passages, target=models["target"], bounds=bounds)
        return round(interval.value, 4)

    return {"source": source, "target": target, "documents": len(passages)} | fits(*packs, retained)


def fits(source: "OpenedPack", target: "OpenedPack", retained: Retained) -> dict[str, object]:
    """Accumulate the Gram matrices once and solve them for every penalty."""
    from factory.alignment.fit import accumulate, solve
    from factory.corpora import Split
    from factory.measurement.evaluation import mapped_by
    from factory.packs.pairs import paired_rows
    from factory.progress import silent
    from kvcache.exchange.mapping import open_map

    statistics = accumulate(lambda: paired_rows(source, target, Split.CALIBRATION), progress=silent("fit"))
    results: dict[str, object] = {}
    for penalty in PENALTIES:
        again = replace(statistics, gram=statistics.gram.copy())
        fitted = solve(again, penalty=penalty, rank=max(DIMENSIONS))
        for dimension in DIMENSIONS:
            value = retained(mapped_by(open_map(fitted.truncated(dimension).arrays())))
            results[f"lambda {penalty}, du {dimension}"] = value
            print(penalty, dimension, value, flush=True)
    return {"retention": results}


if __name__ == "__main__":
    main()
