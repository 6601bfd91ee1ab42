"""Time to the first token, measured where a part of the product that runs models has registered itself for it.

The engine runs no model. `register` is called once, when that part's app is ready; without it every time is unknown.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kvcache.compression.metrics import NOT_RUN
from latentmas.protocol.errors import LatentMASError
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame

MAX_TOKENS = 4096  # of a context that is read again, while the caller waits


@dataclass(frozen=True, slots=True)
class Asked:
    """A compressed cache, which `unpack` decodes anew at each call, and what the model read to make it."""

    model: str
    weights: str
    token_ids: Sequence[int]
    unpack: Callable[[], KVSnapshot]


@dataclass(frozen=True, slots=True)
class Times:
    """Median milliseconds to the first token: from the compressed bytes, and from the token ids by prefill."""

    ttft_ms: float
    prefill_ttft_ms: float


@dataclass(frozen=True, slots=True)
class FirstToken:
    """The times, or the reason why there are none."""

    times: Times | None = None
    reason: str | None = NOT_RUN


Measure = Callable[[Asked], Times]  # raises LatentMASError where the model cannot be run

_measurers: list[Measure] = []
_one_at_a_time = threading.Lock()  # two at once would time each other, and hold two models in memory


def register(measure: Measure) -> None:
    """Let this function measure from now on."""
    _measurers[:] = [measure]


def first_token(frame: SnapshotFrame, unpack: Callable[[], KVSnapshot]) -> FirstToken:
    """Run the model that made a cache, if it runs here, from its tokens and from what `unpack` decodes."""
    if reason := _hindrance(frame):
        return FirstToken(reason=reason)
    if not _one_at_a_time.acquire(blocking=False):
        return FirstToken(reason="another measurement is running a model here; ask again when it has ended")
    try:
        assert frame.model is not None
        assert frame.weights is not None
        assert frame.token_ids is not None
        asked = Asked(frame.model, frame.weights, frame.token_ids.tolist(), unpack)
        return FirstToken(_measurers[0](asked), reason=None)
    except LatentMASError as error:
        return FirstToken(reason=f"the model was not run: {error.message}")
    finally:
        _one_at_a_time.release()


def _hindrance(frame: SnapshotFrame) -> str | None:
    if frame.model is None:
        return "plain arrays are no model's cache"
    if frame.weights is None:
        return "the cache does not say which weights made it"
    if frame.token_ids is None:
        return "the cache does not say its token ids, which a prefill would read"
    if frame.missing:
        return f"the cache lacks {frame.missing} tokens of its context, which a prefill would read"
    if frame.tokens > MAX_TOKENS:
        return f"the cache has {frame.tokens} tokens; at most {MAX_TOKENS} are read again"
    return None if _measurers else "nothing on this server runs models"
