"""Let a model write texts from nothing: it continues its BOS at temperature 1, many texts at once."""

from typing import TYPE_CHECKING, Any

from factory.runners.model import RunningModel

if TYPE_CHECKING:
    import torch

NEVER = -1e9  # the logit of a special token


def sampled(model: RunningModel, *, texts: int, tokens: int, seed: int) -> list[str]:
    """Return texts of so many tokens each. Special tokens are never drawn.

    The same seed gives the same texts on the same machine; another processor rounds differently and may draw another
    token, after which a text goes its own way.
    """
    import torch

    special = torch.tensor(sorted({model.bos, *model.tokenizer.all_special_ids}))
    generator = torch.Generator().manual_seed(seed)
    ids = torch.full((texts, 1), model.bos)
    cache, drawn = _cache(model.network.config.num_hidden_layers, tokens), []
    with torch.inference_mode():
        for step in range(tokens):
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
