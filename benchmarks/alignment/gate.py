"""Does a W-Matrix's forecast see which memories to refuse? On held-out text, foreign languages and long contexts.

    python -m benchmarks.alignment.gate --w-matrix FILE [--w-matrix ANOTHER ...]

Every memory is scored on 256 tokens of continuation. A register's memories are forecast by a model that was fitted
without that register; the languages that it was fitted on are not in the set. The frozen set is fixed by the pinned
packages; its digest is printed. `ceiling` is the rank correlation that a perfect forecast could reach with retentions
as noisy as these, from two halves of the scored tokens (Spearman and Brown 1910) in alternate runs of 16, since
neighbours err alike. The last line is JSON.
"""

import argparse
import functools as ft
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.session import models_of, set_up_django
from benchmarks.tables import print_table

if TYPE_CHECKING:
    from factory.corpora import Document
    from factory.corpora.suite import SuiteCell
    from factory.measurement.passages import Passage
    from factory.recipes.forecast import Example
    from factory.runners.model import RunningModel
    from kvcache.exchange.mapping import OpenedWMatrix

SCORED = 256  # tokens of continuation
OF_REGISTER = {256: 3, 1024: 2}  # held-out documents of a register at a context length
OF_GROUP = {256: 2, 1024: 1}  # the same of a foreign group
LONGEST = 12_000  # characters of a foreign text
RUN = 16  # scored tokens
POOR, GOOD = 0.5, 0.8


@dataclass(frozen=True, slots=True)
class Judged:
    """A memory of the frozen set: its retention, over all scored tokens and over each half, and the forecast of it."""

    register: str
    length: int
    retention: float
    halves: tuple[float, float]
    expected: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--w-matrix", type=Path, action="append", required=True)
    options = parser.parse_args()
    set_up_django()
    found = {str(path): list(_judge(path)) for path in options.w_matrix}
    figures = {path: _figures(memories) for path, memories in found.items()}
    figures["all"] = _figures([each for memories in found.values() for each in memories])
    print_table("the gate", [{"w-matrix": path, **each} for path, each in figures.items()])
    print(json.dumps({"set": _digest(), **figures}))


def frozen() -> "Iterator[SuiteCell]":
    """Yield the cells of the frozen set, with how many of their documents are wanted."""
    from benchmarks.compression.documents import CHOOSING, UNSEEN
    from factory.corpora.suite import SuiteCell, load_suite

    for cell in load_suite("suite/1").cells:
        if cell.length in OF_REGISTER and cell.documents:
            yield replace(cell, wanted=OF_REGISTER[cell.length])
    for group in (*CHOOSING, *UNSEEN, "bulgarian"):
        read = ft.partial(_foreign, group)
        for length, wanted in OF_GROUP.items():
            yield SuiteCell(f"foreign {group}", length, read, len(read()), wanted)


@ft.cache
def _foreign(group: str) -> "tuple[Document, ...]":
    """Return three texts of a group; the one long text of a language is cut into pieces."""
    from benchmarks.compression.documents import documents
    from factory.corpora.documents import Document, digest_of

    whole = [each.text for each in documents(group, wanted=3)]
    if len(whole) == 1:
        whole = [whole[0][start : start + LONGEST] for start in range(0, 3 * LONGEST, LONGEST)]
    return tuple(Document(text[:LONGEST], digest_of(text[:LONGEST])) for text in whole)


def _digest() -> str:
    listed = [(cell.register, cell.length, [each.digest for each in cell.documents], cell.wanted) for cell in frozen()]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]


def _judge(path: Path) -> Iterator[Judged]:
    from factory.measurement.suite import passages_in, reader
    from factory.recipes.forecast import fit_forecast
    from kvcache.exchange.mapping import open_w_matrix
    from latentmas.protocol.quality import TokenMode
    from latentmas.protocol.w_matrix import read_w_matrix

    opened = open_w_matrix(read_w_matrix(path), explain=True)
    source, target = models_of(opened.document)
    taught = _taught(opened, source, target)
    read = reader(source, target, continuation=SCORED)
    for cell in frozen():
        others = [each for name, each in taught if name != cell.register and each.mode is TokenMode.TOKENS_KNOWN]
        forecast = fit_forecast(TokenMode.TOKENS_KNOWN, others)
        for passage in passages_in(cell, read):
            scored = _scored(passage, opened, target)
            if scored is None:
                continue
            judged = Judged(cell.register, cell.length, *scored[:2], expected=forecast.of(scored[2]).value)
            print(
                f"{judged.register} {judged.length}: {judged.retention:.2f}, expected {judged.expected:.2f}", flush=True
            )
            yield judged


def _taught(opened: "OpenedWMatrix", source: "RunningModel", target: "RunningModel") -> "list[tuple[str, Example]]":
    """Return what the selection documents teach, as in the making of a W-Matrix, with their registers."""
    from factory.corpora.selection import load_foreign, load_selection
    from factory.measurement.suite import passages_in, reader
    from factory.recipes.forecast import FORECAST_TOKENS, examples_of

    read, found = reader(source, target, continuation=FORECAST_TOKENS), []
    for cell in (*load_selection(), *load_foreign()):
        for passage in passages_in(cell, read):
            found += [(cell.register, each) for each in examples_of(passage, opened, target=target)]
    return found


def _scored(
    passage: "Passage", opened: "OpenedWMatrix", target: "RunningModel"
) -> tuple[float, tuple[float, float], Any] | None:
    """Return retention, that of both halves of the tokens, and the signs; None where the context hardly helps."""
    from awareness_sdk.transformers_bridge import cache_of
    from factory.measurement.evaluation import exchanged, sink_of
    from factory.recipes.forecast import LEAST_POSSIBLE

    done = exchanged(passage, opened)
    nothing, own, aligned = (
        target.continuation_nll(cache_of(memory, config=target.network.config), passage.continuation)
        for memory in (sink_of(passage), passage.own, done.snapshot)
    )
    if (nothing - own).mean() < LEAST_POSSIBLE:
        return None
    odd = np.arange(len(own)) // RUN % 2 == 1
    parts = (slice(None), ~odd, odd)
    whole, *halves = (float((nothing - aligned)[part].sum() / (nothing - own)[part].sum()) for part in parts)
    return whole, (halves[0], halves[1]), done.signs


def _figures(memories: list[Judged]) -> dict[str, Any]:
    from scipy.stats import spearmanr

    from kvcache.exchange.policy import LEAST_EXPECTED

    measured, forecast = (np.array([getattr(each, name) for each in memories]) for name in ("retention", "expected"))
    between = spearmanr(*np.array([each.halves for each in memories]).T).statistic
    reliability = 2 * between / (1 + between)
    poor, good = measured < POOR, measured > GOOD
    refused = forecast < LEAST_EXPECTED
    return {
        "memories": len(memories),
        "below .5": int(poor.sum()),
        "rank correlation": round(float(spearmanr(measured, forecast).statistic), 3),
        "ceiling": round(float(np.sqrt(reliability)), 3),
        "refused of those below .5": round(float(refused[poor].mean()), 3),
        "refused of those above .8": round(float(refused[good].mean()), 3),
        "at": LEAST_EXPECTED,
    }


if __name__ == "__main__":
    main()
