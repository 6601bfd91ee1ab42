"""Measure the retention of a W-Matrix by running the target model on held-out passages (the transfer contract).

Memories are aligned by `kvcache.exchange`, which serves requests too, so what is certified is what is delivered.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from awareness_sdk.transformers_bridge import cache_of
from factory.measurement.metrics import layer_fidelities, retention, row_fidelity
from factory.measurement.passages import Passage
from factory.progress import Progress
from factory.runners.model import RunningModel
from kvcache.exchange.exchange import exchange
from kvcache.exchange.mapping import LatentMap, OpenedWMatrix, open_w_matrix
from kvcache.exchange.policy import Policy
from kvcache.rows import rows_in, whole_snapshot
from latentmas.protocol.eight_bit import MATRICES, matrix_of
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import DocumentScore, Interval, LayerFidelity, Retention
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION, WMatrix

CONTROL_SEED = 7
TEXT_ARMS = {"text_half": 2, "text_quarter": 4, "text_eighth": 8}
LEAST_PASSAGES = 2
UNCONDITIONAL = Policy(require_certificate=False, require_inside=False)  # refuses nothing

Memory = Callable[[Passage], KVSnapshot]  # passage -> the target's memory of its context, BOS entry first


def handed_over(w_matrix: OpenedWMatrix, *, by_tokens: bool = True, leave: int = 0) -> Memory:
    """Return a function that aligns the source's memory of a passage with `exchange`, without the last `leave` tokens.

    The target's tokens are known to it and, unless `by_tokens` is False, their first-layer rows for the correction.
    """

    def memory(passage: Passage) -> KVSnapshot:
        known = passage.known(by_tokens=by_tokens, leave=leave)
        return exchange(passage.source, w_matrix, target=known, policy=UNCONDITIONAL).snapshot

    return memory


def mapped_by(latent_map: LatentMap) -> Memory:
    """Return a function that aligns a passage by a map that is no W-Matrix file yet, and corrects if the map can."""

    def memory(passage: Passage) -> KVSnapshot:
        rows = latent_map.apply(passage.source_rows)
        if latent_map.correction is not None:
            rows = latent_map.corrected(rows, passage.first_layer)
        return memory_of(passage, rows)

    return memory


def memory_of(passage: Passage, aligned: Array) -> KVSnapshot:
    """Return the memory of aligned rows `[tokens, dt]`, with the target's own BOS entry (attention sink) in front."""
    rows = np.concatenate([passage.own_rows[:1], aligned])
    return whole_snapshot(rows, geometry=passage.own.frame.geometry)


@dataclass(frozen=True, slots=True)
class Evaluation:
    retention: Retention
    layers: tuple[LayerFidelity, ...]
    documents: tuple[DocumentScore, ...]


def evaluate(w_matrix: WMatrix, passages: Sequence[Passage], *, target: RunningModel, progress: Progress) -> Evaluation:
    """Score every arm of the contract on held-out passages with the real target model.

    The random control is a W-Matrix of noise of the same shape and scale. Raises InvalidInput with fewer than two
    passages: the wrong-document control needs another one.
    """
    if len(passages) < LEAST_PASSAGES:
        raise InvalidInput(f"{len(passages)} held-out documents are long enough; at least {LEAST_PASSAGES} are needed")
    align, random_align = (
        handed_over(open_w_matrix(WMatrix(w_matrix.document, arrays)))
        for arrays in (w_matrix.arrays, random_like(w_matrix.arrays))
    )
    fidelities: list[Array] = []
    scores: list[DocumentScore] = []
    for number, passage in enumerate(passages):
        progress(number, len(passages))
        stranger = passages[(number + 1) % len(passages)]
        memories = {
            "aligned": align(passage),
            "wrong_document": align(stranger),
            "random_w": random_align(passage),
        }
        nll, fidelity = _score(passage, memories, target)
        fidelities.append(fidelity)
        scores.append(DocumentScore(passage.document, len(passage.continuation) - 1, nll))
    progress(len(passages), len(passages))
    return Evaluation(
        retention=Retention(**{arm: _interval(scores, arm) for arm in Retention.__dataclass_fields__}),
        layers=layer_fidelities(np.mean(fidelities, axis=0)),
        documents=tuple(scores),
    )


def aligned_retention(
    memory: Memory,
    passages: Sequence[Passage],
    *,
    target: RunningModel,
    bounds: Sequence[tuple[float, float]],
    leave: int = 0,
) -> Interval:
    """Return the retention of the aligned arm alone; `bounds` are the NLLs (nothing, own) from `bounds_of`.

    `leave` is the number of last context tokens that the memory lacks and the target reads itself.
    """
    aligned = [_nll(target, memory(passage), passage, leave=leave) for passage in passages]
    nothing, own = np.array(bounds).T
    return retention(np.array(aligned), nothing=nothing, own=own)


def bounds_of(passages: Sequence[Passage], *, target: RunningModel) -> list[tuple[float, float]]:
    """Return for each passage the mean NLL of its continuation after BOS alone and after the target's own cache."""
    return [(_nll(target, _sink_of(each), each), _nll(target, each.own, each)) for each in passages]


def random_like(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the random-W control: a W-Matrix's arrays, each matrix replaced by noise of its shape and RMS."""
    generator = np.random.default_rng(CONTROL_SEED)
    control = {name: array for name, array in arrays.items() if name not in ("encoder_scale", "decoder_scale")}
    control |= {name: matrix_of(arrays, name) for name in MATRICES}
    for name in (*MATRICES, *(rule for rule in CORRECTION if rule in arrays)):
        scale = np.sqrt(np.mean(np.square(control[name], dtype=np.float64)))
        control[name] = generator.normal(0.0, scale, control[name].shape).astype(np.float32)
    return control


def _score(passage: Passage, memories: dict[str, KVSnapshot], target: RunningModel) -> tuple[dict[str, float], Array]:
    """Return the mean NLL of every arm, and the figures `[layers, 5]` that `layer_fidelities` takes."""
    nll = {"nothing": _nll(target, _sink_of(passage), passage)}
    with target.attention_outputs() as own_attention:
        nll["own"] = _nll(target, passage.own, passage)
    with target.attention_outputs() as aligned_attention:
        nll["aligned"] = _nll(target, memories["aligned"], passage)
    for arm in ("wrong_document", "random_w"):
        nll[arm] = _nll(target, memories[arm], passage)
    for arm, fraction in TEXT_ARMS.items():
        tail = passage.context[-(len(passage.context) // fraction) :]
        nll[arm] = float(target.continuation_nll(target.prefill(tail), passage.continuation).mean())
    attention = [_cosine(mine, own) for mine, own in zip(aligned_attention, own_attention, strict=True)]
    return nll, np.column_stack([_fidelity(memories["aligned"], passage), attention])


def _nll(target: RunningModel, memory: KVSnapshot, passage: Passage, *, leave: int = 0) -> float:
    cache = cache_of(memory, config=target.network.config)
    read = passage.context[len(passage.context) - leave :] + passage.continuation
    return float(target.continuation_nll(cache, read)[leave:].mean())


def _sink_of(passage: Passage) -> KVSnapshot:
    """Return the target's memory of BOS alone, as if the context had ended there."""
    sink = passage.own.select(np.arange(1))
    return KVSnapshot(replace(sink.frame, next_position=1), sink.keys, sink.values)


def _fidelity(memory: KVSnapshot, passage: Passage) -> Array:
    """Return `[layers, 4]` over the tokens that the memory holds, the sink left out."""
    frame = memory.frame
    return row_fidelity(
        rows_in(memory)[1:],
        passage.own_rows[frame.positions[1:]],
        frame.geometry,
        starts=[max(start - 1, 0) for start in frame.starts],
    )


def _interval(scores: Sequence[DocumentScore], arm: str) -> Interval:
    memory, nothing, own = (np.array([each.nll[name] for each in scores]) for name in (arm, "nothing", "own"))
    return retention(memory, nothing=nothing, own=own)


def _cosine(mine: Array, own: Array) -> float:
    products = (mine * own).sum(-1) / (np.linalg.norm(mine, axis=-1) * np.linalg.norm(own, axis=-1))
    return float(products.mean())
