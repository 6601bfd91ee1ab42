"""How long a hand-over takes with a share of the tokens read in place, beside the target's own reading, in turns."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from awareness_sdk.transformers_bridge import read_in_place
from benchmarks.exchange.run import ASK_ANYWAY, Direction
from benchmarks.exchange.speed import MS, text_of
from factory.corpora import Document
from factory.demonstration.memories import opened, pack, read_memory
from factory.runners.tokens import target_tokens
from kvcache.exchange.exchange import exchange
from kvcache.exchange.rereading import Context
from kvcache.exchange.rereading.choosing import Budget, choose
from latentmas.protocol.snapshot import KVSnapshot

SHARES = (0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
ROUNDS = 5


def speed(direction: Direction, documents: Sequence[Document], *, tokens: int) -> list[dict[str, object]]:
    """Return rows for each share read, with what was read correcting the rest and without.

    They hold medians in milliseconds of processor time, which is what one core takes where nothing else runs on it, and
    by how much reading the whole text is slower.

    The hand-over is all that the receiver does: its tokens' first layers, the choice, the projection, the reading
    in place, and the cache that it goes on from. Unpacking the sender's file is told apart.
    """
    text = text_of(direction, documents, tokens=tokens)
    memory = read_memory(direction.source, text)
    packed = pack(memory, model=direction.source)
    ids = direction.target.encode(text).ids
    ways = [(share, learn) for share in SHARES for learn in (True, False)]
    work: dict[object, Callable[[], object]] = {way: _hand_over(direction, memory, text, *way) for way in ways}
    work |= {"text": lambda: direction.target.prefill(ids), "unpack": lambda: opened(packed)}
    times: dict[object, list[float]] = {name: [] for name in work}
    for number in range(1 + ROUNDS):  # the first one warms up
        for name, each in work.items():
            started = time.process_time()
            each()
            if number:
                times[name].append(MS * (time.process_time() - started))
    taken = {name: np.array(each) for name, each in times.items()}
    return [
        {
            "tokens": len(ids),
            "read": share,
            "learns": learn,
            "hand over (ms)": float(np.median(taken[share, learn])),
            "read the text (ms)": float(np.median(taken["text"])),
            "times faster": float(np.median(taken["text"] / taken[share, learn])),
            "times faster, unpacking too": float(np.median(taken["text"] / (taken[share, learn] + taken["unpack"]))),
        }
        for share, learn in ways
        if share or not learn
    ]


def _hand_over(direction: Direction, memory: KVSnapshot, text: str, share: float, learn: bool) -> Callable[[], object]:
    network = direction.target.network

    def work() -> object:
        known = target_tokens(direction.target, text, layers=direction.w_matrix.known_layers)
        assert known.ids is not None
        chosen = choose(Context(known.text_spans, text=text), Budget(share=share), chooser="rare").positions
        known = replace(known, reread=chosen)
        done = exchange(memory, direction.w_matrix, target=known, policy=ASK_ANYWAY)
        return read_in_place(network, done.snapshot, known.ids[chosen - 1], chosen, learn=learn, tokens=known)

    return work
