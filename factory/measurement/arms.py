"""Score a passage with the real target model: the memory that is judged, its controls, and text in its place.

Every arm of the transfer contract is one mean NLL of the passage's continuation. Retention follows from them.
"""

import functools as ft
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from factory.alignment.correction import rows_from_tokens
from factory.measurement.evaluation import (
    Memory,
    by_source_tokens,
    handed_over,
    memory_of,
    nll_of,
    random_like,
    sink_of,
    with_memory_of,
)
from factory.measurement.metrics import layer_fidelities, row_fidelity, share_of
from factory.measurement.passages import Passage
from factory.measurement.rereading import InPlace, alone, chosen_in, nll_after, reread_in_place
from factory.progress import Progress
from factory.runners.model import RunningModel
from kvcache.exchange.mapping import open_w_matrix
from kvcache.rows import rows_in
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import REREAD_TOKENS, DocumentScore, Interval, LayerFidelity, Retention
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import WMatrix

TEXT_ARMS = {"text_half": 2, "text_quarter": 4, "text_eighth": 8}
LEAST_PASSAGES = 2


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that a W-Matrix does to a passage. `tokens_only` is None where no such control was fitted."""

    aligned: Memory
    source_tokens: Memory
    reread: Memory  # lacks the last REREAD_TOKENS tokens
    in_place: InPlace
    random_w: Memory
    tokens_only: Memory | None


@dataclass(frozen=True, slots=True)
class Scored:
    """One passage's NLLs; `fidelity` `[layers, 5]` is what `layer_fidelities` takes, None where not asked for."""

    score: DocumentScore
    fidelity: Array | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    retention: Retention
    layers: tuple[LayerFidelity, ...]
    documents: tuple[DocumentScore, ...]


def judged(w_matrix: WMatrix, *, tokens_only: Mapping[str, Array] | None = None) -> Judged:
    """Return a W-Matrix ready to be judged, as read from its file; `tokens_only` is what `fit_tokens_only` returned."""
    opened = open_w_matrix(w_matrix)
    unforecast = replace(w_matrix.document, forecasts=())  # of noise nothing is to be foretold
    control = open_w_matrix(WMatrix(unforecast, random_like(w_matrix.arrays)))
    once = ft.lru_cache(maxsize=2)  # a passage's memory is the next one's stranger
    return Judged(
        aligned=once(handed_over(opened)),
        source_tokens=by_source_tokens(opened),
        reread=once(handed_over(opened, leave=REREAD_TOKENS)),
        in_place=lambda passage, positions, target: reread_in_place(passage, opened, positions, target=target),
        random_w=handed_over(control),
        tokens_only=None if tokens_only is None else _by_tokens_only(tokens_only),
    )


def evaluate(w_matrix: WMatrix, passages: Sequence[Passage], *, target: RunningModel, progress: Progress) -> Evaluation:
    """Score every arm on passages that are in memory. Raises InvalidInput for one: it needs another as stranger."""
    if len(passages) < LEAST_PASSAGES:
        raise InvalidInput(f"{len(passages)} held-out documents are long enough; at least {LEAST_PASSAGES} are needed")
    matrix = judged(w_matrix)
    found: list[Scored] = []
    for number, passage in enumerate(passages):
        progress(number, len(passages))
        found.append(scored(passage, passages[number - 1], matrix, target=target))
    progress(len(passages), len(passages))
    scores = tuple(each.score for each in found)
    return Evaluation(retention_of(scores), fidelity_of(found), scores)


def scored(passage: Passage, stranger: Passage, matrix: Judged, *, target: RunningModel, whole: bool = True) -> Scored:
    """Score a passage beside a stranger's of the same length; unless `whole`, only the arms that a cell needs."""
    aligned = matrix.aligned(passage)
    tail = _tail(passage, REREAD_TOKENS)
    nll = {"nothing": nll_of(target, sink_of(passage), passage)}
    with target.attention_outputs() as own_attention:
        nll["own"] = nll_of(target, passage.own, passage)
    with target.attention_outputs() as aligned_attention:
        nll["aligned"] = nll_of(target, aligned, passage)
    nll["source_tokens"] = nll_of(target, matrix.source_tokens(passage), passage)
    nll["wrong_document"] = nll_of(target, matrix.aligned(stranger), passage)
    nll["own_tokens"] = nll_of(target, matrix.aligned(with_memory_of(passage, stranger)), passage)
    if matrix.tokens_only is not None:
        nll["tokens_only"] = nll_of(target, matrix.tokens_only(passage), passage)
    nll["reread"] = nll_of(target, matrix.reread(passage), passage, leave=REREAD_TOKENS)
    nll["reread_stranger"] = nll_of(target, matrix.reread(stranger), passage, leave=REREAD_TOKENS)
    nll |= _in_place(passage, stranger, matrix, target)
    nll["reread_nothing"] = _after_text(target, tail, passage)
    for arm, fraction in TEXT_ARMS.items():
        if whole or arm == "text_eighth":
            nll[arm] = _after_text(target, _tail(passage, len(passage.context) // fraction), passage)
    score = DocumentScore(passage.document, len(passage.continuation) - 1, nll)
    if not whole:
        return Scored(score, None)
    nll["random_w"] = nll_of(target, matrix.random_w(passage), passage)
    attention = [_cosine(mine, own) for mine, own in zip(aligned_attention, own_attention, strict=True)]
    return Scored(score, np.column_stack([_fidelity(aligned, passage), attention]))


def _in_place(passage: Passage, stranger: Passage, matrix: Judged, target: RunningModel) -> dict[str, float]:
    """Return the NLL where the target reads a share itself: in the memory, in a stranger's, and after nothing."""
    chosen = chosen_in(passage)
    caches = {
        "in_place": matrix.in_place(passage, chosen, target),
        "in_place_stranger": matrix.in_place(with_memory_of(passage, stranger), chosen, target),
        "in_place_alone": alone(passage, chosen, target=target),
    }
    return {arm: nll_after(target, cache, passage) for arm, cache in caches.items()}


def retention_of(scores: Sequence[DocumentScore]) -> Retention:
    """Return the retention of every arm of the contract, a ratio of means over the documents."""
    found = {arm: interval_of(scores, arm) for arm in Retention.__dataclass_fields__}
    assert all(interval is not None for interval in found.values())
    return Retention(**found)  # type: ignore[arg-type]  # none is None


def interval_of(scores: Sequence[DocumentScore], arm: str, *, over: str = "nothing") -> Interval | None:
    """Return one arm's retention over the documents, or how much more it keeps than another arm on each of them.

    None where one of the two was not scored.
    """
    if not scores or any(name not in each.nll for each in scores for name in (arm, over)):
        return None
    memory, other, nothing, own = (
        np.array([each.nll[name] for each in scores]) for name in (arm, over, "nothing", "own")
    )
    return share_of(other - memory, nothing - own)


def fidelity_of(found: Sequence[Scored]) -> tuple[LayerFidelity, ...]:
    """Return the layers' fidelity, a mean over the passages that have it."""
    return layer_fidelities(np.mean([each.fidelity for each in found if each.fidelity is not None], axis=0))


def _by_tokens_only(arrays: Mapping[str, Array]) -> Memory:
    return lambda passage: memory_of(passage, rows_from_tokens(arrays, passage.own_rows[1:]))


def _tail(passage: Passage, tokens: int) -> tuple[int, ...]:
    return passage.context[len(passage.context) - tokens :]


def _after_text(target: RunningModel, tail: Sequence[int], passage: Passage) -> float:
    return float(target.continuation_nll(target.prefill(tail), passage.continuation).mean())


def _fidelity(memory: KVSnapshot, passage: Passage) -> Array:
    """Return `[layers, 4]` over the tokens that the memory holds, the sink left out."""
    frame = memory.frame
    return row_fidelity(
        rows_in(memory)[1:],
        passage.own_rows[frame.positions[1:]],
        frame.geometry,
        starts=[max(start - 1, 0) for start in frame.starts],
    )


def _cosine(mine: Array, own: Array) -> float:
    products = (mine * own).sum(-1) / (np.linalg.norm(mine, axis=-1) * np.linalg.norm(own, axis=-1))
    return float(products.mean())
