"""Run a model's own code up to the moment when a layer would write its cache, and no further."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentmas.protocol.errors import ModelNotSupported
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    import torch


class _Written(Exception):
    """The layers that are wanted have written."""


@dataclass(frozen=True, slots=True)
class Entering:
    """Hidden states `[batch, tokens, width]` of tokens as they enter the layer of this number."""

    layer: int
    states: "torch.Tensor"


@dataclass(frozen=True, slots=True)
class Written:
    """New keys and values `[batch, heads, tokens, dim]` of each layer that ran.

    `entering` is what entered the last one; None for a model that does not name its layers as transformers mostly does.
    """

    keys: "list[torch.Tensor]"
    values: "list[torch.Tensor]"
    entering: Entering | None


def written(
    model: Any,
    ids: Array,
    *,
    positions: Array,
    layers: int,
    beside: Sequence[Any] = (),
    masks: Any = None,
    begin: Entering | None = None,
) -> Written:
    """Return what a model's first `layers` cache of `ids`, both `[batch, tokens]` like their positions.

    `beside` are layers of a cache that holds other tokens already, `masks` the model's attention masks. With `begin`
    the layers before its number do not run. Raises ModelNotSupported for a model that leaves its cache alone.
    """
    import torch
    from transformers import DynamicCache

    keys: list[torch.Tensor] = []
    values: list[torch.Tensor] = []
    first = 0 if begin is None else begin.layer

    class Watched(DynamicCache):  # type: ignore[misc]  # transformers' classes are not followed
        def update(self, key_states: Any, value_states: Any, layer_idx: int, *more: Any, **named: Any) -> Any:
            keys.append(key_states)
            values.append(value_states)
            if first + len(keys) == layers:
                raise _Written
            return super().update(key_states, value_states, layer_idx, *more, **named)

    cache = Watched()
    cache.layers.extend(beside)
    with torch.inference_mode(), _watched(model, layers - 1) as entered, _begun(model, begin):
        try:
            model(
                input_ids=torch.from_numpy(ids).to(model.device),
                position_ids=torch.from_numpy(positions).to(model.device),
                attention_mask=masks,
                past_key_values=cache,
                use_cache=True,
            )
        except _Written:
            return Written(keys, values, Entering(layers - 1, entered[0]) if entered else None)
    raise ModelNotSupported(f"{model.config.model_type} writes no keys and values into the cache that it is given")


@contextmanager
def _watched(model: Any, layer: int) -> "Iterator[list[torch.Tensor]]":
    """Collect the hidden states that enter a layer, where the model names its layers."""
    entered: list[torch.Tensor] = []
    hooks = [
        each.register_forward_pre_hook(lambda _layer, inputs: entered.append(inputs[0]))
        for each in _decoder_layers(model)[layer : layer + 1]
    ]
    try:
        yield entered
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _begun(model: Any, begin: Entering | None) -> Iterator[None]:
    """Let the layers before `begin` hand on the hidden states that leave the last of them."""
    skipped = [] if begin is None else _decoder_layers(model)[: begin.layer]
    for layer in skipped:
        layer.forward = lambda *_inputs, **_named: begin.states  # type: ignore[union-attr]  # skipped is empty then
    try:
        yield
    finally:
        for layer in skipped:
            del layer.forward  # the class has its own


def _decoder_layers(model: Any) -> list[Any]:
    return list(getattr(model.get_decoder(), "layers", ()))
