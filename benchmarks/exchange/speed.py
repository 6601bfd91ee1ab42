"""How long handing over a long memory takes, beside the target's own reading of the same text, in turns."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from awareness_sdk.transformers_bridge import cache_of
from benchmarks.exchange.run import ASK_ANYWAY, Direction
from factory.corpora import Document
from factory.demonstration.memories import opened, pack, read_memory
from factory.runners.tokens import target_tokens
from kvcache.exchange.exchange import exchange

TOKENS, ROUNDS = 1024, 9
MS = 1000.0


def speed(direction: Direction, documents: Sequence[Document]) -> dict[str, object]:
    """Return medians in milliseconds, and the median over the rounds of reading time over handing-over time.

    Handing over is projection, both rotations and the cache that the target goes on from; unpacking is told apart.
    """
    text = text_of(direction, documents, tokens=TOKENS)
    memory = read_memory(direction.source, text)
    packed = pack(read_memory(direction.source, text), model=direction.source)
    ids = direction.target.encode(text).ids
    matrix, target = direction.w_matrix, direction.target

    def by_tokens() -> object:
        known = target_tokens(target, text, layers=matrix.known_layers)
        return cache_of(exchange(memory, matrix, target=known, policy=ASK_ANYWAY).snapshot)

    work: dict[str, Callable[[], object]] = {
        "hand over": lambda: cache_of(exchange(memory, matrix, policy=ASK_ANYWAY).snapshot),
        "hand over, tokens known": by_tokens,
        "read the text": lambda: direction.target.prefill(ids),
        "unpack": lambda: opened(packed),
    }
    for each in work.values():
        each()  # warms up
    times = {name: np.array([]) for name in work}
    for _ in range(ROUNDS):
        for name, each in work.items():
            started = time.perf_counter()
            each()
            times[name] = np.append(times[name], MS * (time.perf_counter() - started))
    ratios = times["read the text"] / times["hand over"]
    known = times["read the text"] / times["hand over, tokens known"]
    return {
        "source tokens": memory.frame.tokens,
        "target tokens": len(ids) + 1,
        **{f"{name} (ms)": float(np.median(taken)) for name, taken in times.items()},
        "reading / handing over": float(np.median(ratios)),
        "least": float(ratios.min()),
        "greatest": float(ratios.max()),
        "reading / handing over, tokens known": float(np.median(known)),
        "reading / (unpacking + handing over)": float(
            np.median(times["read the text"] / (times["hand over"] + times["unpack"]))
        ),
    }


def text_of(direction: Direction, documents: Sequence[Document], *, tokens: int) -> str:
    """Return the beginning of a document that is so many tokens to the source, BOS among them."""
    for document in documents:
        spans = direction.source.encode(document.text[: 8 * tokens]).spans
        if len(spans) >= tokens:
            return document.text[: spans[tokens - 2][1]]
    raise ValueError(f"no document is {tokens} tokens long")
