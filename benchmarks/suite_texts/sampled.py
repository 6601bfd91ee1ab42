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
from typing import TYPE_CHECKING, Any

from benchmarks.session import set_up_django
from factory.corpora.shipped import DATA, SAMPLED_FILE

if TYPE_CHECKING:
    import torch

NEVER = -1e9  # the logit of a special token


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
    import torch
    from django.conf import settings

    from factory.runners.model import load_model
    from latentmas.runners.weights import find_weights

    model = load_model(find_weights(draw.model, cache=settings.CACHE_DIR))
    special = torch.tensor(sorted(set(model.tokenizer.all_special_ids)))
    generator = torch.Generator().manual_seed(draw.seed)
    ids = torch.full((draw.texts, 1), model.bos)
    cache, drawn = _cache(model.network.config.num_hidden_layers, draw.tokens), []
    with torch.inference_mode():
        for step in range(draw.tokens):
            positions = torch.full_like(ids, step)
            output = model.network.model(ids, past_key_values=cache, use_cache=True, position_ids=positions)
            logits = model.network.lm_head(output.last_hidden_state[:, -1]).float()
            logits[:, special] = NEVER
            ids = torch.multinomial(torch.softmax(logits, -1), 1, generator=generator)
            drawn.append(ids)
    return [model.tokenizer.decode(row) for row in torch.cat(drawn, 1).tolist()]


def _cache(layers: int, tokens: int) -> Any:
    """Return a cache whose memory is taken once: growing it token by token would copy it each time."""
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    class Reserved(DynamicLayer):  # type: ignore[misc]  # transformers' classes are not followed
        held = 0

        def update(self, keys: "torch.Tensor", values: "torch.Tensor", *_: Any, **__: Any) -> Any:
            if not self.held:
                self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
                batch, heads, _tokens, width = keys.shape
                self.reserved = [torch.empty(batch, heads, tokens, each) for each in (width, int(values.shape[-1]))]
            end = self.held + keys.shape[2]
            for place, part in zip(self.reserved, (keys, values), strict=True):
                place[:, :, self.held : end] = part
            self.held = end
            self.keys, self.values = (place[:, :, :end] for place in self.reserved)
            return self.keys, self.values

        def get_seq_length(self) -> int:
            return self.held

    cache = DynamicCache()
    cache.layers = [Reserved() for _ in range(layers)]
    return cache


if __name__ == "__main__":
    main()
