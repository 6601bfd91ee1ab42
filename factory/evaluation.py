"""Judge a W-Matrix by what its memories do to the target model (the transfer contract)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from factory.passages import Passage
from factory.progress import Progress
from factory.retention import retention
from factory.runners.model import RunningModel
from kvcache.align import aligner
from kvcache.exchange.correction import corrected, has_correction
from latentmas.protocol.eight_bit import MATRICES, matrix_of
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import DocumentScore, Interval, LayerFidelity, Retention
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION

CONTROL_SEED = 7
TEXT_ARMS = {"text_half": 2, "text_quarter": 4, "text_eighth": 8}
LEAST_PASSAGES = 2

Align = Callable[[Passage], Array]  # to the target's rows of a passage's context


def mapped_by(arrays: Mapping[str, Array], *, by_tokens: bool = True) -> Align:
    """Return what applies a W-Matrix to passages, with its correction where it has one, unless `by_tokens` is False."""
    align = aligner(arrays)
    if not (by_tokens and has_correction(arrays)):
        return lambda passage: align(passage.source_rows)
    return lambda passage: corrected(align(passage.source_rows), passage.first_layer, arrays)


@dataclass(frozen=True, slots=True)
class Evaluation:
    retention: Retention
    layers: tuple[LayerFidelity, ...]
    documents: tuple[DocumentScore, ...]


def evaluate(
    align: Align, random_align: Align, passages: Sequence[Passage], *, target: RunningModel, progress: Progress
) -> Evaluation:
    """Score every arm of the contract on held-out passages with the real target model.

    `align` maps a passage's source rows to target rows, `random_align` does the same through a W of random numbers of
    the same shape and scale. Raises InvalidInput with fewer than two passages: the wrong-document control needs
    another one.
    """
    if len(passages) < LEAST_PASSAGES:
        raise InvalidInput(f"{len(passages)} held-out documents are long enough; at least {LEAST_PASSAGES} are needed")
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
        layers=tuple(_layer(layer, *figures) for layer, figures in enumerate(np.mean(fidelities, axis=0).tolist())),
        documents=tuple(scores),
    )


def aligned_retention(
    align: Align,
    passages: Sequence[Passage],
    *,
    target: RunningModel,
    bounds: Sequence[tuple[float, float]],
    reread: int = 0,
) -> Interval:
    """Return the retention of the aligned arm alone; `bounds` are the NLLs (nothing, own) from `bounds_of`.

    So many of the context's last tokens the target does not get as memory: it reads them itself, after the others.
    """
    aligned = [_nll(target, memory_of(passage, align(passage)), passage, reread=reread) for passage in passages]
    nothing, own = np.array(bounds).T
    return retention(np.array(aligned), nothing=nothing, own=own)


def bounds_of(passages: Sequence[Passage], *, target: RunningModel) -> list[tuple[float, float]]:
    """Return for each passage the mean NLL of its continuation after BOS alone and after the target's own cache."""
    return [(_nll(target, each.own_rows[:1], each), _nll(target, each.own_rows, each)) for each in passages]


def memory_of(passage: Passage, aligned: Array) -> Array:
    """Return a memory's rows: the target's own BOS entry (attention sink) in front of the aligned ones."""
    return np.concatenate([passage.own_rows[:1], aligned])


def random_like(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return a control: a W-Matrix's matrices replaced by noise of the same shape and root mean square."""
    generator = np.random.default_rng(CONTROL_SEED)
    control = {name: array for name, array in arrays.items() if name not in ("encoder_scale", "decoder_scale")}
    control |= {name: matrix_of(arrays, name) for name in MATRICES}
    for name in (*MATRICES, *(rule for rule in CORRECTION if rule in arrays)):
        scale = np.sqrt(np.mean(np.square(control[name], dtype=np.float64)))
        control[name] = generator.normal(0.0, scale, control[name].shape).astype(np.float32)
    return control


def _score(passage: Passage, memories: dict[str, Array], target: RunningModel) -> tuple[dict[str, float], Array]:
    """Return the mean NLL of every arm, and the figures of each layer `[layers, 5]`."""
    nll = {"nothing": _nll(target, passage.own_rows[:1], passage)}
    with target.attention_outputs() as own_attention:
        nll["own"] = _nll(target, passage.own_rows, passage)
    with target.attention_outputs() as aligned_attention:
        nll["aligned"] = _nll(target, memory_of(passage, memories["aligned"]), passage)
    for arm in ("wrong_document", "random_w"):
        nll[arm] = _nll(target, memory_of(passage, memories[arm]), passage)
    for arm, fraction in TEXT_ARMS.items():
        tail = passage.context[-(len(passage.context) // fraction) :]
        nll[arm] = float(target.continuation_nll(target.prefill(tail), passage.continuation).mean())
    attention = [_cosine(mine, own) for mine, own in zip(aligned_attention, own_attention, strict=True)]
    rows = _row_fidelity(memories["aligned"], passage.own_rows[1:], target.geometry)
    return nll, np.column_stack([rows, attention])


def _nll(target: RunningModel, rows: Array, passage: Passage, *, reread: int = 0) -> float:
    remembered = len(rows) - reread
    read = passage.context[len(passage.context) - reread :] + passage.continuation
    return float(target.continuation_nll(target.cache_of(rows[:remembered]), read)[reread:].mean())


def _interval(scores: Sequence[DocumentScore], arm: str) -> Interval:
    memory, nothing, own = (np.array([each.nll[name] for each in scores]) for name in (arm, "nothing", "own"))
    return retention(memory, nothing=nothing, own=own)


def _row_fidelity(predicted: Array, own: Array, geometry: KVGeometry) -> Array:
    """Return key cosine, key error, value cosine and value error of each layer `[layers, 4]`, means over heads."""
    shape = (-1, geometry.layers, 2, geometry.heads, geometry.head_dim)
    mine, true = predicted.reshape(shape), own.reshape(shape)
    norms = np.linalg.norm(true, axis=-1)
    cosine = (mine * true).sum(-1) / (np.linalg.norm(mine, axis=-1) * norms + np.finfo(np.float32).tiny)
    error = np.linalg.norm(mine - true, axis=-1) / (norms + np.finfo(np.float32).tiny)
    both = np.stack([cosine.mean(axis=(0, 3)), error.mean(axis=(0, 3))], axis=-1)  # layers, key/value, cosine/error
    return both.reshape(geometry.layers, 4)


def _cosine(mine: Array, own: Array) -> float:
    products = (mine * own).sum(-1) / (np.linalg.norm(mine, axis=-1) * np.linalg.norm(own, axis=-1))
    return float(products.mean())


def _layer(layer: int, *figures: float) -> LayerFidelity:
    key_cosine, key_error, value_cosine, value_error, attention = figures
    return LayerFidelity(
        layer=layer,
        key_cosine=key_cosine,
        key_error=key_error,
        value_cosine=value_cosine,
        value_error=value_error,
        attention_cosine=attention,
    )
