"""Memories of a passage, aligned by a W-Matrix or by a map that is no file yet, and what they are worth to the target.

Files are applied by `kvcache.exchange`, which serves requests too, so what is certified is what is delivered.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from awareness_sdk.transformers_bridge import cache_of
from factory.measurement.metrics import retention
from factory.measurement.passages import Passage
from factory.runners.model import RunningModel
from factory.runners.reading import Reading
from kvcache.exchange.exchange import Exchanged, exchange
from kvcache.exchange.mapping import LatentMap, OpenedWMatrix
from kvcache.exchange.policy import Policy
from kvcache.rows import rows_in, unpack_rows, whole_snapshot
from latentmas.protocol.eight_bit import MATRICES, matrix_of
from latentmas.protocol.quality import Interval
from latentmas.protocol.snapshot import KVSnapshot, needed
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION

CONTROL_SEED = 7
UNCONDITIONAL = Policy(require_certificate=False, require_inside=False)  # refuses nothing

Memory = Callable[[Passage], KVSnapshot]  # passage -> the target's memory of its context, BOS entry first


def handed_over(w_matrix: OpenedWMatrix, *, by_tokens: bool = True, leave: int = 0) -> Memory:
    """Return a function that aligns the source's memory of a passage with `exchange`, without the last `leave` tokens.

    The target's tokens are known to it and, unless `by_tokens` is False, their first layers for the correction.
    """
    return lambda passage: exchanged(passage, w_matrix, by_tokens=by_tokens, leave=leave).snapshot


def exchanged(
    passage: Passage, w_matrix: OpenedWMatrix, *, by_tokens: bool = True, leave: int = 0, reread: Array | None = None
) -> Exchanged:
    """Return what `exchange` makes of a passage, as in `handed_over`; nothing is refused.

    `reread` are the positions of the tokens that the target will read itself, in place.
    """
    correction = w_matrix.map.correction
    width = correction.width if by_tokens and correction is not None else None
    known = passage.known(width=width, leave=leave, reread=reread)
    return exchange(passage.source, w_matrix, target=known, policy=UNCONDITIONAL)


def whole_memory(w_matrix: OpenedWMatrix) -> Memory:
    """Return a function that aligns as `handed_over` does and leaves out nothing that a sliding window will hide.

    What is handed over for any way of reading is a part of it: `at_hand`.
    """
    return lambda passage: exchanged(passage, w_matrix, reread=np.arange(1, 1 + len(passage.context))).snapshot


def at_hand(whole: KVSnapshot, *, leave: int = 0, reread: Array | None = None) -> KVSnapshot:
    """Return the part of a whole memory that `exchanged` hands over for these options."""
    end = whole.frame.next_position - leave
    before = whole.select(np.flatnonzero(whole.frame.positions < end)) if leave else whole
    ended = KVSnapshot(replace(before.frame, next_position=end), before.keys, before.values)
    return needed(ended, reader=None if reread is None else int(reread[0]))[0]


def mapped_by(latent_map: LatentMap) -> Memory:
    """Return a function that aligns a passage by a map that is no W-Matrix file yet, and corrects if the map can."""

    def memory(passage: Passage) -> KVSnapshot:
        correction = latent_map.correction
        known = None if correction is None else passage.first_layers(correction.width)
        return memory_of(passage, latent_map.apply(passage.source_rows, known))

    return memory


def by_source_tokens(w_matrix: OpenedWMatrix) -> Memory:
    """Return a function that aligns as for a receiver who does not know the text: source's tokens and positions."""
    return lambda passage: exchange(passage.source, w_matrix, policy=UNCONDITIONAL).snapshot


def with_memory_of(passage: Passage, stranger: Passage) -> Passage:
    """Return a passage with its own text and tokens whose source has remembered the stranger's instead."""
    return replace(passage, source=stranger_in_place(passage.source, stranger.source))


def stranger_in_place(own: KVSnapshot, stranger: KVSnapshot) -> KVSnapshot:
    """Return a snapshot with one text's tokens, spans and positions, and another text's keys and values.

    A stranger's memory that is shorter begins again at its first token.
    """
    held, frame = rows_in(stranger), own.frame
    rows = np.concatenate([held[:1], np.resize(held[1:], (frame.tokens - 1, held.shape[1]))])
    return KVSnapshot(frame, *unpack_rows(rows, geometry=frame.geometry, positions=frame.positions))


def memory_of(passage: Passage, aligned: Array) -> KVSnapshot:
    """Return the memory of aligned rows `[tokens, dt]`, with the target's own BOS entry (attention sink) in front."""
    rows = np.concatenate([rows_in(passage.own.select(np.arange(1))), aligned])
    return whole_snapshot(rows, geometry=passage.own.frame.geometry)


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
    aligned = target.nlls(reading_of(target, memory(each), each, leave=leave) for each in passages)
    nothing, own = np.array(bounds).T
    return retention(np.array([each.mean() for each in aligned]), nothing=nothing, own=own)


def bounds_of(passages: Sequence[Passage], *, target: RunningModel) -> list[tuple[float, float]]:
    """Return for each passage the mean NLL of its continuation after BOS alone and after the target's own cache."""
    nothing = target.nlls(reading_of(target, sink_of(each), each) for each in passages)
    own = target.nlls(reading_of(target, each.own, each) for each in passages)
    return [(float(one.mean()), float(other.mean())) for one, other in zip(nothing, own, strict=True)]


def random_like(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the random-W control: a W-Matrix's arrays, each matrix replaced by noise of its shape and RMS."""
    generator = np.random.default_rng(CONTROL_SEED)
    control = {name: array for name, array in arrays.items() if name not in ("encoder_scale", "decoder_scale")}
    control |= {name: matrix_of(arrays, name) for name in MATRICES}
    for name in (*MATRICES, *(rule for rule in CORRECTION if rule in arrays)):
        scale = np.sqrt(np.mean(np.square(control[name], dtype=np.float64)))
        control[name] = generator.normal(0.0, scale, control[name].shape).astype(np.float32)
    return control


def reading_of(
    target: RunningModel, memory: KVSnapshot, passage: Passage, *, leave: int = 0, watched: bool = False
) -> Reading:
    """Return the reading of the continuation after a memory and the context's last `leave` tokens, read as text."""
    cache = cache_of(memory, config=target.network.config)
    ids = passage.context[len(passage.context) - leave :] + passage.continuation
    return Reading(cache, ids, scored=len(passage.continuation) - 1, watched=watched)


def nll_of(target: RunningModel, memory: KVSnapshot, passage: Passage, *, leave: int = 0) -> float:
    """Return the mean NLL of what `reading_of` reads."""
    return float(target.nlls([reading_of(target, memory, passage, leave=leave)])[0].mean())


def sink_of(passage: Passage) -> KVSnapshot:
    """Return the target's memory of BOS alone, as if the context had ended there."""
    return at_hand(passage.own, leave=len(passage.context))
