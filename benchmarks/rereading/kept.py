"""Retention of a handed-over memory of which the target has read some tokens itself, and of these tokens alone."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from awareness_sdk.transformers_bridge import LEAN
from benchmarks.rereading.facts import OUTWARD, Plan
from factory.corpora.suite import EvaluationSuite
from factory.measurement.evaluation import exchanged, nll_of, sink_of
from factory.measurement.metrics import retention
from factory.measurement.passages import Passage
from factory.measurement.rereading import nll_after, reread_in_place
from factory.measurement.suite import passages_in, reader
from factory.runners.model import RunningModel
from kvcache.exchange.mapping import OpenedWMatrix
from kvcache.exchange.rereading import Context
from kvcache.exchange.rereading.choosing import Budget, choose

# The question is unknown; what leaning costs stands beside.
PLANS = (
    *(Plan("last", 1 / 8), Plan("mixed", 1 / 8), Plan("mixed", 1 / 8, LEAN)),
    *(Plan("last", 1 / 4), Plan("mixed", 1 / 4), Plan("mixed", 1 / 4, OUTWARD)),
)


def cells(
    suite: EvaluationSuite,
    w_matrix: OpenedWMatrix,
    plans: Sequence[Plan],
    *,
    source: RunningModel,
    target: RunningModel,
    documents: int,
) -> Iterator[dict[str, Any]]:
    """Yield a row for each cell: by arm the retention over its first documents, with its interval."""
    read = reader(source, target)
    for cell in suite.cells:
        passages = passages_in(replace(cell, wanted=documents), read)
        found = [_nll(passage, w_matrix, plans, target) for passage in passages]
        if not found:
            continue
        columns = {name: np.array([each[name] for each in found]) for name in found[0]}
        nothing, own = columns.pop("nothing"), columns.pop("own")
        row: dict[str, Any] = {"register": cell.register, "length": cell.length, "documents": len(found)}
        for name, nll in columns.items():
            kept = retention(nll, nothing=nothing, own=own)
            row[name] = [round(figure, 3) for figure in (kept.value, kept.low, kept.high)]
        yield row


def _nll(passage: Passage, w_matrix: OpenedWMatrix, plans: Sequence[Plan], target: RunningModel) -> dict[str, float]:
    figures = {
        "nothing": nll_of(target, sink_of(passage), passage),
        "own": nll_of(target, passage.own, passage),
        "the memory": nll_of(target, exchanged(passage, w_matrix).snapshot, passage),
    }
    context = Context(passage.spans, text=passage.text)
    for plan in plans:
        places = choose(context, Budget(share=plan.share), chooser=plan.chooser).positions
        cache = reread_in_place(passage, w_matrix, places, target=target, lean=plan.lean)
        figures[plan.name] = nll_after(target, cache, passage)
        if plan.lean:
            continue  # the same tokens alone are those of the plan without
        alone = target.prefill([passage.context[place - 1] for place in places])
        figures[f"{plan.name}, alone"] = nll_after(target, alone, passage)
    return figures
