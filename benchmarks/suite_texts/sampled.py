"""Make `factory/data/sampled.json.xz`: text that both packaged models sample from nothing, and print its SHA-256.

    python -m benchmarks.suite_texts.sampled        # draws what the file lacks: some fifteen minutes on a core for all

Each model continues its BOS at temperature 1, many texts at once; special tokens are never drawn. A draw (model, seed)
that the file holds is kept, so that a run can be stopped and another draw be added. Seeds are fixed, but
another processor rounds differently and may draw another token, after which a text goes its own way: what counts is the
shipped file, which is checked by its digest.
"""

import hashlib
import json
import lzma
from dataclasses import dataclass
from typing import Any

from benchmarks.session import set_up_django
from factory.corpora.shipped import DATA, SAMPLED_FILE


@dataclass(frozen=True, slots=True)
class Draw:
    model: str
    texts: int
    tokens: int
    seed: int


DRAWS = (
    Draw("smollm2-135m", texts=96, tokens=330, seed=11),
    Draw("gemma-3-270m", texts=64, tokens=330, seed=12),
    Draw("smollm2-135m", texts=40, tokens=1100, seed=13),
    Draw("gemma-3-270m", texts=40, tokens=1100, seed=14),
    Draw("smollm2-135m", texts=12, tokens=2200, seed=15),
)


def main() -> None:
    set_up_django()
    path = DATA / SAMPLED_FILE
    records: list[dict[str, Any]] = json.loads(lzma.decompress(path.read_bytes())) if path.exists() else []
    for draw in DRAWS:
        if any((each["model"], each["seed"]) == (draw.model, draw.seed) for each in records):
            continue
        records += [{"model": draw.model, "seed": draw.seed, "text": text.strip()} for text in _sampled(draw)]
        data = lzma.compress(json.dumps(records, ensure_ascii=False, indent=0).encode(), preset=9 | lzma.PRESET_EXTREME)
        path.write_bytes(data)
        print(f"{len(records)} texts, {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}", flush=True)


def _sampled(draw: Draw) -> list[str]:
    from django.conf import settings

    from factory.runners.model import load_model
    from factory.runners.sampling import sampled
    from latentmas.runners.weights import find_weights

    model = load_model(find_weights(draw.model, cache=settings.CACHE_DIR))
    return sampled(model, texts=draw.texts, tokens=draw.tokens, seed=draw.seed)


if __name__ == "__main__":
    main()
