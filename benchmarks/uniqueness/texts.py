"""How similar a model's real caches of news articles are: coded, with a part changed, and of other articles."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.tables import print_table

if TYPE_CHECKING:
    from factory.runners.model import RunningModel
    from latentmas.protocol.snapshot import KVSnapshot

CHARACTERS, TENTH = 2_200, 220
RATIOS = (4.6, 6.5)  # of the quantiser
PROFILED = (8.0, 20.0, 40.0)  # of the transform code


def compared(name: str, *, documents: int, profile: Path | None) -> list[dict[str, Any]]:
    """Return the similarity of each sort to the article's own raw cache, by token ids and by cached values."""
    from django.conf import settings

    from factory.corpora import LEE, load_corpus
    from factory.runners.model import load_model
    from latentmas.runners.weights import find_weights
    from marketplace.screening.fingerprints import BASES, fingerprint_of, similarity

    model = load_model(find_weights(name, cache=settings.CACHE_DIR))
    texts = sorted((each.text for each in load_corpus(LEE).documents), key=len)[-documents:]
    own, pairs = [], []
    for number, text in enumerate(texts):
        memories = dict(_read(model, text[:CHARACTERS], texts[number - 1], profile))
        prints = {sort: fingerprint_of([memory]) for sort, memory in memories.items()}
        own.append(prints.pop("raw"))
        pairs += [(sort, own[-1], each) for sort, each in prints.items()]
    pairs += [("another article", one, other) for one, other in combinations(own, 2)]
    rows = []
    for sort in dict.fromkeys(sort for sort, _, _ in pairs):
        row: dict[str, Any] = {"sort": sort}
        for basis in BASES:
            shares = [similarity(one.of(basis), [other.of(basis)])[0] for each, one, other in pairs if each == sort]
            row |= {
                f"{basis}_mean": float(np.mean(shares)),
                f"{basis}_least": min(shares),
                f"{basis}_most": max(shares),
            }
        rows.append(row)
    print_table(f"{name}, {documents} articles of {CHARACTERS} characters", rows)
    return rows


def _read(model: "RunningModel", text: str, stranger: str, profile: Path | None) -> Iterator[tuple[str, "KVSnapshot"]]:
    from factory.demonstration.memories import adapter_of, read_memory
    from kvcache.coding.profile import open_profile
    from kvcache.compression.compressor import compress, decompress
    from kvcache.compression.plan import Ratio

    raw, adapter, middle = read_memory(model, text), adapter_of(model), CHARACTERS // 2
    yield "raw", raw
    for ratio in RATIOS:
        yield (
            f"quantised {ratio}x",
            decompress(compress(raw, adapter=adapter, method="quantise", target=Ratio(ratio)).data),
        )
    if profile is not None:
        opened = open_profile(profile)
        for ratio in PROFILED:
            file = compress(raw, adapter=adapter, method="transform", target=Ratio(ratio), profile=opened).data
            yield f"transform {ratio:g}x", decompress(file, profile=opened)
    yield "a tenth in the middle changed", read_memory(model, text[:middle] + stranger[:TENTH] + text[middle + TENTH :])
    yield "a tenth at the beginning changed", read_memory(model, stranger[:TENTH] + text[TENTH:])
    yield "the first fifth cut off", read_memory(model, text[2 * TENTH :])
