"""How a model attends where it reads tokens that stand among others: by a mask, to what some of them see and no more.

Imported only where a model runs.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary
from transformers.cache_utils import DynamicLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

AMONG = "among"  # transformers' name for this way to attend
AT_ONCE = 32  # tokens whose keys are cut to those that one of them sees
Part = tuple[slice, torch.Tensor]  # keys that some of the queries see, and the mask of these
_parts: MutableMapping[torch.Tensor, list[Part]] = WeakTensorKeyDictionary()  # by mask, which layers of a kind share


class Slots(DynamicLayer):  # type: ignore[misc]  # untyped
    """Keys and values `[1, heads, tokens, dim]`, of which those in `slots` are written when the model reads them."""

    def __init__(self, slots: torch.Tensor) -> None:
        super().__init__()
        self._slots = slots

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the tokens in their slots and return all."""
        self.keys.index_copy_(2, self._slots, key_states)
        self.values.index_copy_(2, self._slots, value_states)
        return self.keys, self.values


@contextmanager
def attending_by(model: Any, wanted: str) -> Iterator[None]:
    """Let the model attend by this implementation, and afterwards by its own again."""
    own = model.config._attn_implementation
    if own == wanted:
        yield
        return
    model.set_attn_implementation(wanted)
    try:
        yield
    finally:
        model.set_attn_implementation(own)


def among(model: Any) -> str:
    """Return the implementation by which a model is to attend where its mask has any form.

    Models that do not attend by torch's `scaled_dot_product_attention` may not be able to.
    """
    return AMONG if model.config._attn_implementation == "sdpa" else "eager"


def _attended(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_options: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention outputs `[1, tokens, heads, dim]` of queries, keys and values `[1, heads, tokens, dim]`.

    As transformers' `sdpa` does, by the same mask; but keys are not repeated for the heads that share them, and those
    that the queries at hand do not see, which stand later or before their window, are not looked at.
    """
    shared = query.shape[1] // key.shape[1]
    outputs = []
    parts = _parts_of(attention_mask, shared)
    for queries, (seen, mask) in zip(torch.split(query, AT_ONCE, dim=2), parts, strict=True):
        output = functional.scaled_dot_product_attention(
            queries.reshape(1, key.shape[1], -1, key.shape[3]),
            key[:, :, seen],
            value[:, :, seen],
            attn_mask=mask,
            dropout_p=dropout,
            scale=scaling,
        )
        outputs.append(output.reshape(*queries.shape[:3], -1))
    return torch.cat(outputs, 2).transpose(1, 2), None


def _parts_of(attention_mask: torch.Tensor, shared: int) -> list[Part]:
    """Return what AT_ONCE queries, the next ones and so on see by a mask `[1, 1, queries, keys]`.

    The mask of a part is that of one query after the other for each of the `shared` heads in turn.
    """
    found = _parts.get(attention_mask)
    if found is None:
        hidden = torch.finfo(attention_mask.dtype).min
        found = _parts[attention_mask] = []
        for mask in torch.split(attention_mask, AT_ONCE, dim=2):
            columns = (mask[0, 0] > hidden).any(0).nonzero()
            seen = slice(int(columns[0]), int(columns[-1]) + 1)
            found.append((seen, mask[..., seen].repeat(1, 1, shared, 1)))
    return found


ALL_ATTENTION_FUNCTIONS.register(AMONG, _attended)
