"""Make a model's realignment (arXiv 2511.20639): a W-Matrix from its last hidden states to its own input embeddings.

It is judged on held-out vocabulary entries: an entry's output embedding must map to its input embedding. The model is
not run, so the basis is `activation`; what latent rollouts add to a task is not measured here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from factory.alignment.realignment import fit_realignment
from factory.measurement.metrics import row_quality
from factory.progress import Progress
from factory.recipes.assembly import Origin, assemble, metrics_of
from factory.runners.model import RunningModel
from factory.runners.vocabulary import vocabulary_chunks
from kvcache.exchange.mapping import open_map
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis, ModelIdentity, Quality
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import STANDARDS, Space, TokenAlignment, WMatrix

HELD_OUT_ENTRIES = 512
VERSION = "1.0.0"

Chunk = tuple[Array, Array, Array]  # ids [n], output and input embeddings [n, hidden]


@dataclass(frozen=True, slots=True)
class Realigned:
    """`top1` is the share of held-out entries whose realigned output embedding is nearest to their own input one."""

    w_matrix: WMatrix
    quality: Quality
    top1: float


@dataclass(slots=True)
class _Seen:
    """What is collected during the pass over the vocabulary that fits the map."""

    norms: float = 0.0  # sum over all entries
    entries: int = 0
    outputs: list[Array] = field(default_factory=list)  # of held-out entries
    inputs: list[Array] = field(default_factory=list)
    ids: list[Array] = field(default_factory=list)


def realign(model: RunningModel, *, progress: Progress, version: str = VERSION) -> Realigned:
    """Fit the realignment on a model's vocabulary and judge it on entries left out. Two passes over the vocabulary.

    Rows are standardised by scales alone, with means of zero; the Euclidean norm of `target_scale` is the mean norm of
    the input embeddings, to which a rollout renormalises. Raises ModelNotSupported or InvalidInput.
    """
    held_out = _held_out(model)
    seen = _Seen()
    matrix = fit_realignment(_fitting(model, held_out, seen, progress))
    hidden = len(matrix)
    if hidden > STANDARDS[-1]:
        raise InvalidInput(f"{model.name} is {hidden} wide; a W-Matrix unifies at most {STANDARDS[-1]} dimensions")
    scale = seen.norms / seen.entries / hidden**0.5
    arrays = {
        "encoder": (matrix / scale).astype(np.float32),
        "decoder": np.eye(hidden, dtype=np.float16),
        "source_mean": np.zeros(hidden, np.float32),
        "source_scale": np.ones(hidden, np.float32),
        "target_mean": np.zeros(hidden, np.float32),
        "target_scale": np.full(hidden, scale, np.float32),
    }
    predicted = open_map(arrays).apply(np.concatenate(seen.outputs))
    quality = row_quality(predicted, np.concatenate(seen.inputs), basis=Basis.ACTIVATION, cost=hidden * hidden)
    top1 = _top1(model, predicted, np.concatenate(seen.ids))
    itself = ModelIdentity(model.name, model.weights)
    origin = Origin(
        version=version,
        source=itself,
        target=itself,
        token_alignment=TokenAlignment.SAME_TOKEN,
        space=Space.REALIGNMENT,
    )
    return Realigned(assemble(arrays, metrics_of(quality), origin), quality, top1)


def _held_out(model: RunningModel) -> Array:
    """Return the ids that are left out, spread evenly: a tokenizer orders its entries by how common they are."""
    size = int(model.network.get_input_embeddings().num_embeddings)
    count = min(HELD_OUT_ENTRIES, size // 8)
    if not count:
        raise InvalidInput(f"the vocabulary of {model.name} has {size} entries, too few to leave some out")
    return np.unique(np.linspace(0, size - 1, count).astype(np.int64))


def _fitting(model: RunningModel, held_out: Array, seen: _Seen, progress: Progress) -> Iterator[tuple[Array, Array]]:
    """Yield output and input embeddings `[n, hidden]` to fit on; add norms and held-out entries to `seen`."""
    size = int(model.network.get_input_embeddings().num_embeddings)
    for ids, outputs, inputs in vocabulary_chunks(model):
        norms = np.linalg.norm(inputs, axis=1)
        out = np.isin(ids, held_out) & (norms > 0)  # padding's embedding may be zero, and has no direction
        seen.norms += float(norms.sum())
        seen.entries += len(ids)
        seen.ids.append(ids[out])
        seen.outputs.append(outputs[out])
        seen.inputs.append(inputs[out])
        progress(seen.entries, size)
        yield outputs[~out], inputs[~out]


def _top1(model: RunningModel, predicted: Array, ids: Array) -> float:
    """Return the share of predictions that are nearest, by cosine, to the input embedding of their own entry."""
    best, nearest = np.full(len(ids), -np.inf, np.float32), np.zeros(len(ids), np.int64)
    for chunk_ids, _, inputs in vocabulary_chunks(model):
        cosines = predicted @ (inputs / np.maximum(np.linalg.norm(inputs, axis=1, keepdims=True), 1e-12)).T
        winner = cosines.argmax(axis=1)
        found = cosines[np.arange(len(ids)), winner]
        nearest, best = np.where(found > best, chunk_ids[winner], nearest), np.maximum(found, best)
    return float((nearest == ids).mean())
