"""What a memory keeps of its own context: retention on the model that made it, by the memory's own tokens.

At several places of the context the memory is cropped to what had been read there, and the model reads on from it: the
tokens that follow are the text itself. Beside it the model reads on from what it makes of the same tokens now, and from
nothing. Nobody has to give a text: the file's token ids are enough, and forged ones show in the figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from awareness_sdk.transformers_bridge import cache_of
from factory.measurement.metrics import retention
from factory.runners.model import Encoding, RunningModel
from factory.runners.reading import Reading
from latentmas.protocol.cropping import crop
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Interval
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame, needed

PLACES = 8  # at most, evenly spaced over the context but for its first part
FIRST = 1 / 4  # of the context is read before the first place
CONTINUATION = 33  # tokens read at each place; the first is not scored
LEAST_PLACES = 4  # fewer give no interval
LEAST_LIKENESS = 0.5  # of the memory's values to the model's own: .88 after 40x in trials, about 0 for other tokens


@dataclass(frozen=True, slots=True)
class OwnMemory:
    """How much a memory keeps. The interval is a bootstrap over the places of this one context, not over documents."""

    retention: Interval
    places: int
    tokens: int  # scored


def measure(memory: KVSnapshot, model: RunningModel) -> OwnMemory:
    """Return the retention of a memory on the model that made it; nothing is measured that would be a guess.

    Raises InvalidInput with the reason where it cannot be measured: other weights, tokens unknown or dropped, a context
    too short or cropped by sliding windows, or one whose beginning does not help the model with the rest.
    """
    ids = _ids(memory.frame, model)
    ends = _places(len(ids))
    own = model.remember(Encoding(tuple(ids[1:]), ((0, 0),) * (len(ids) - 1)))
    if (alike := likeness(memory, own)) < LEAST_LIKENESS:
        raise InvalidInput(f"the memory is not of the tokens that its file names: its values correlate by {alike:.2f}")
    arms = (
        [_reading(memory, ids, end, model) for end in ends],
        [_reading(own, ids, end, model) for end in ends],
        [model.text(_continuation(ids, end), scored=CONTINUATION - 1) for end in ends],
    )
    nlls = model.nlls(chain.from_iterable(arms))
    kept, whole, nothing = np.array([each.mean() for each in nlls]).reshape(len(arms), len(ends))
    if (nothing - whole).mean() <= 0:
        raise InvalidInput("what stands before does not help the model with the rest of the context")
    return OwnMemory(retention(kept, nothing=nothing, own=whole), len(ends), len(ends) * (CONTINUATION - 1))


def likeness(memory: KVSnapshot, own: KVSnapshot) -> float:
    """Return how two memories of the same tokens correlate: their values about the mean token, a mean over layers."""
    found = []
    for layer, start in enumerate(memory.frame.starts):
        mine, true = (each.values[layer, start:].reshape(each.frame.tokens - start, -1) for each in (memory, own))
        mine, true = mine - mine.mean(axis=0), true - true.mean(axis=0)
        lengths = np.linalg.norm(mine) * np.linalg.norm(true)
        found.append(float((mine * true).sum() / lengths) if lengths else 0.0)
    return float(np.mean(found))


def _ids(frame: SnapshotFrame, model: RunningModel) -> Sequence[int]:
    """Return the ids of all tokens of the context, BOS first."""
    if frame.weights != model.weights:
        raise InvalidInput(f"the weights of {model.name} here are {model.weights}; the memory's are {frame.weights}")
    if frame.geometry != model.geometry:
        raise InvalidInput(f"the memory's geometry is not that of {model.name}")
    ids = model.ids_in(frame)
    if ids[0] != model.bos:
        raise InvalidInput(f"the memory does not begin with the BOS token of {model.name}, {model.bos}")
    return ids


def _places(tokens: int) -> list[int]:
    """Return how many tokens have been read at each place; what is read at one does not reach the next."""
    first, last = int(tokens * FIRST), tokens - CONTINUATION
    count = min(PLACES, 1 + (last - first) // CONTINUATION)
    if count < LEAST_PLACES:
        raise InvalidInput(f"the context has {tokens} tokens, too few to read on at {LEAST_PLACES} places")
    return np.linspace(first, last, count).astype(int).tolist()  # type: ignore[no-any-return]


def _continuation(ids: Sequence[int], end: int) -> Sequence[int]:
    return ids[end : end + CONTINUATION]


def _reading(memory: KVSnapshot, ids: Sequence[int], end: int, model: RunningModel) -> Reading:
    """Return the reading of what follows the first `end` tokens, after the memory of those."""
    cache = cache_of(needed(crop(memory, end))[0], config=model.network.config)
    return Reading(cache, _continuation(ids, end), scored=CONTINUATION - 1)
