"""Score a passage with the real target model: the memory that is judged, its controls, and text in its place.

Every arm of the transfer contract is one mean NLL of the passage's continuation. Retention follows from them.
"""

import functools as ft
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from factory.alignment.correction import rows_from_tokens
from factory.measurement.evaluation import (
    Memory,
    at_hand,
    by_source_tokens,
    handed_over,
    memory_of,
    random_like,
    reading_of,
    sink_of,
    whole_memory,
    with_memory_of,
)
from factory.measurement.metrics import layer_fidelities, row_fidelity, share_of
from factory.measurement.passages import Passage
from factory.measurement.rereading import after, chosen_in, read_in, tokens_at
from factory.progress import Progress
from factory.runners.model import RunningModel
from factory.runners.reading import Reading
from kvcache.exchange.mapping import open_w_matrix
from kvcache.rows import rows_in
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import REREAD_TOKENS, DocumentScore, Interval, LayerFidelity, Retention
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import WMatrix

TEXT_ARMS = {"text_half": 2, "text_quarter": 4, "text_eighth": 8}
LEAST_PASSAGES = 2

Name = TypeVar("Name", str, int)
Arms = dict[str, Callable[[], Reading]]  # made when it is their turn: a cache takes memory


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that a W-Matrix does to a passage. `tokens_only` is None where no such control was fitted."""

    aligned: Memory  # as a whole
    source_tokens: Memory
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
    return Judged(
        aligned=ft.lru_cache(maxsize=2)(whole_memory(opened)),  # a passage's memory is the next one's stranger
        source_tokens=by_source_tokens(opened),
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
    others = _with_the_stranger(passage, stranger, matrix, target)  # first: of three memories the last two are kept
    aligned = at_hand(matrix.aligned(passage))
    own, mine = (reading_of(target, each, passage, watched=whole) for each in (passage.own, aligned))
    arms: Arms = {"own": lambda: own, "aligned": lambda: mine}
    arms |= others | _with_its_memory(passage, matrix, target)
    if whole:
        arms["random_w"] = lambda: reading_of(target, matrix.random_w(passage), passage)
    nll = _nll_of(arms, target) | _of_text(passage, target, whole=whole)
    score = DocumentScore(passage.document, len(passage.continuation) - 1, nll)
    if not whole:
        return Scored(score, None)
    attention = [_cosine(*layer) for layer in zip(mine.attention, own.attention, strict=True)]
    return Scored(score, np.column_stack([_fidelity(aligned, passage), attention]))


def _with_its_memory(passage: Passage, matrix: Judged, target: RunningModel) -> Arms:
    """Return the arms that the cells need of a passage's own memory, or of none."""
    read = ft.partial(reading_of, target, passage=passage)
    whole, chosen = matrix.aligned(passage), chosen_in(passage)
    arms: Arms = {
        "nothing": lambda: read(sink_of(passage)),
        "source_tokens": lambda: read(matrix.source_tokens(passage)),
        "reread": lambda: read(at_hand(whole, leave=REREAD_TOKENS), leave=REREAD_TOKENS),
        "in_place": lambda: after(read_in(at_hand(whole, reread=chosen), passage, chosen, target=target), passage),
        "in_place_alone": lambda: _text(tokens_at(passage, chosen).tolist(), passage, target),
    }
    if (predicted := matrix.tokens_only) is not None:
        arms["tokens_only"] = lambda: read(predicted(passage))
    return arms


def _with_the_stranger(passage: Passage, stranger: Passage, matrix: Judged, target: RunningModel) -> Arms:
    """Return the controls that read a stranger's memory, as it is or in the place of the passage's."""
    read = ft.partial(reading_of, target, passage=passage)
    in_its_place, whole = matrix.aligned(with_memory_of(passage, stranger)), matrix.aligned(stranger)
    chosen = chosen_in(passage)
    return {
        "wrong_document": lambda: read(at_hand(whole)),
        "own_tokens": lambda: read(at_hand(in_its_place)),
        "reread_stranger": lambda: read(at_hand(whole, leave=REREAD_TOKENS), leave=REREAD_TOKENS),
        "in_place_stranger": lambda: after(
            read_in(at_hand(in_its_place, reread=chosen), passage, chosen, target=target), passage
        ),
    }


def _of_text(passage: Passage, target: RunningModel, *, whole: bool) -> dict[str, float]:
    """Return the NLLs after the last tokens of the context alone. Arms of the same length are one reading."""
    tokens = len(passage.context)
    tails = {arm: tokens // share for arm, share in TEXT_ARMS.items() if whole or arm == "text_eighth"}
    tails["reread_nothing"] = REREAD_TOKENS
    arms = {tail: ft.partial(_text, passage.context[tokens - tail :], passage, target) for tail in set(tails.values())}
    nll = _nll_of(arms, target)
    return {arm: nll[tail] for arm, tail in tails.items()}


def _text(ids: Sequence[int], passage: Passage, target: RunningModel) -> Reading:
    return target.text((*ids, *passage.continuation), scored=len(passage.continuation) - 1)


def _nll_of(arms: Mapping[Name, Callable[[], Reading]], target: RunningModel) -> dict[Name, float]:
    """Return the mean NLL of each arm."""
    nlls = target.nlls(arm() for arm in arms.values())
    return {name: float(each.mean()) for name, each in zip(arms, nlls, strict=True)}


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
