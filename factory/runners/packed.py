"""Let a model read several sequences in one pass, each after a cache of its own, without padding.

Everything but attention takes tokens one by one, so it sees one long sequence: products of many rows cost less a row.
Attention is computed sequence by sequence, just as when the model reads one alone. Imported only where a model runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from transformers.masking_utils import create_masks_for_generate
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from awareness_sdk.attending import attending_by
from factory.runners.reading import Reading

PACKED = "packed"  # transformers' name for this way to attend

Masks: TypeAlias = "torch.Tensor | dict[str, torch.Tensor | None] | None"  # transformers': one for each kind of layer


@dataclass(frozen=True, slots=True)
class Pack:
    """Sequences that are read together: a mask for each, and how the model attends alone."""

    readings: Sequence[Reading]
    masks: list[Masks]
    attend: Callable[..., Any]


def read_together(network: Any, readings: Sequence[Reading]) -> list[torch.Tensor]:
    """Return the hidden states `[tokens, hidden]` of each reading's tokens but its last; the caches are extended."""
    places = [each.cache.get_seq_length() + torch.arange(len(each.ids) - 1) for each in readings]
    with torch.inference_mode():
        masks = [_masks(network, each, where) for each, where in zip(readings, places, strict=True)]
        pack = Pack(readings, masks, ALL_ATTENTION_FUNCTIONS[network.config._attn_implementation])
        with attending_by(network, PACKED):
            output = network.model(
                torch.tensor([[token for each in readings for token in each.ids[:-1]]]),
                position_ids=torch.cat(places)[None],
                use_cache=False,
                packed=pack,
            )
    grown = [each.cache.get_seq_length() for each in readings]
    assert grown == [int(where[-1]) + 1 for where in places], "this model attends in a way of its own"
    hidden: torch.Tensor = output.last_hidden_state[0]
    return list(torch.split(hidden, [len(where) for where in places]))


def _masks(network: Any, reading: Reading, positions: torch.Tensor) -> Masks:
    """Return what the model would mask by if it read this alone."""
    shaped_like = torch.empty(1, len(positions), 0, dtype=network.dtype)
    masks: Masks = create_masks_for_generate(
        network.config, shaped_like, None, reading.cache, position_ids=positions[None]
    )
    return masks


def _attended(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    packed: Pack,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention outputs `[1, tokens, heads, dim]` of queries, keys and values `[1, heads, tokens, dim]`."""
    lengths = [len(each.ids) - 1 for each in packed.readings]
    parts = zip(*(torch.split(each, lengths, dim=2) for each in (query, key, value)), strict=True)
    outputs = []
    for reading, masks, (queries, keys, values) in zip(packed.readings, packed.masks, parts, strict=True):
        seen = reading.cache.update(keys, values, module.layer_idx)
        mask = masks[module.config.layer_types[module.layer_idx]] if isinstance(masks, dict) else masks
        output = packed.attend(module, queries, *seen, mask, **options)[0]
        outputs.append(output)
        if reading.watched:
            reading.attention.append(output[0].flatten(1).numpy())
    return torch.cat(outputs, dim=1), None


ALL_ATTENTION_FUNCTIONS.register(PACKED, _attended)
