"""Run a causal language model with transformers and read or set its KV-cache."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from awareness_sdk import configurations
from awareness_sdk.transformers_bridge import snapshot_of
from factory.runners.reading import Reading, packs_of
from kvcache.rows import pack_rows, unpack_rows
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array
from latentmas.runners.weights import Weights

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache


@dataclass(frozen=True, slots=True)
class Encoding:
    """A text's tokens, without special ones, and the character span `[start, end)` of each."""

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A loaded model. Rows are `[1 + tokens, width]`: the BOS entry (attention sink) comes first, always."""

    name: str
    weights: str
    geometry: KVGeometry
    bos: int
    network: Any  # transformers' causal LM; its classes are not typed
    tokenizer: Any

    def encode(self, text: str) -> Encoding:
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return Encoding(tuple(encoded["input_ids"]), tuple(map(tuple, encoded["offset_mapping"])))

    def ids_in(self, frame: SnapshotFrame) -> list[int]:
        """Return the ids of all tokens of a memory's context, BOS among them. Raises InvalidInput where it lacks some.

        Whether the memory is of these tokens is not looked at, nor whether they are those of a text.
        """
        if frame.token_ids is None:
            raise InvalidInput("the file does not say which tokens the memory is of")
        if frame.missing:
            raise InvalidInput(f"{frame.missing} tokens of the context were dropped, so it cannot be read again")
        ids: list[int] = frame.token_ids.tolist()
        size = int(self.network.get_input_embeddings().num_embeddings)
        if not 0 <= min(ids) <= max(ids) < size:
            raise InvalidInput(f"token_ids holds a number outside of 0 to {size - 1}", field="token_ids")
        return ids

    def capture(self, ids: Sequence[int]) -> Array:
        """Return the rows of BOS and the tokens, float32, keys with RoPE removed, without running the head."""
        return self.rows_of(self.prefill(ids))

    def remember(self, encoding: Encoding) -> KVSnapshot:
        """Return the model's uncropped cache of BOS and a text's tokens as a snapshot, with ids and spans."""
        return snapshot_of(
            self.prefill(encoding.ids),
            geometry=self.geometry,
            model=self.name,
            weights=self.weights,
            token_ids=[self.bos, *encoding.ids],
            offsets=np.array([(0, 0), *encoding.spans], np.int32),
        )

    def prefill(self, ids: Sequence[int]) -> "DynamicCache":
        """Return the model's cache of BOS and the tokens, uncropped in sliding-window layers."""
        cache = _empty_cache()
        self._forward([self.bos, *ids], cache, first_position=0)
        return cache

    def rows_of(self, cache: "DynamicCache") -> Array:
        """Return the rows of a cache that begins at position 0."""
        keys = np.stack([layer.keys[0].float().numpy().transpose(1, 0, 2) for layer in cache.layers])
        values = np.stack([layer.values[0].float().numpy().transpose(1, 0, 2) for layer in cache.layers])
        return pack_rows(keys, values, geometry=self.geometry)

    def cache_of(self, rows: Array) -> "DynamicCache":
        """Return a cache that holds the rows at the positions 0, 1, 2 and so on."""
        import torch

        keys, values = unpack_rows(rows, geometry=self.geometry)
        cache = _empty_cache()
        for layer, (key, value) in enumerate(zip(keys, values, strict=True)):
            parts = (torch.from_numpy(part.transpose(1, 0, 2)[None].copy()) for part in (key, value))
            cache.update(*(part.to(self.network.dtype) for part in parts), layer)
        return cache

    def keys_before_norm(self, ids: Sequence[int]) -> Array:
        """Return the key projections' outputs, before norm and RoPE: `[layers, 1 + tokens, heads * head_dim]`."""
        keys: list[Array] = []
        hooks = [
            layer.self_attn.k_proj.register_forward_hook(
                lambda _module, _inputs, output: keys.append(output[0].numpy())
            )
            for layer in self.network.model.layers
        ]
        try:
            self.prefill(ids)
        finally:
            for hook in hooks:
                hook.remove()
        return np.stack(keys)

    def continuation_nll(self, cache: "DynamicCache", continuation: Sequence[int]) -> Array:
        """Return the NLL in nats of each token but the first, read right after the cache, which is extended by it."""
        return self.nlls([Reading(cache, continuation, scored=len(continuation) - 1)])[0]

    def nlls(self, readings: Iterable[Reading]) -> list[Array]:
        """Return the NLLs in nats of each reading's scored tokens. Readings are taken up one by one, read together."""
        import torch

        from factory.runners.likelihood import nll_by
        from factory.runners.packed import read_together

        found: list[Array] = []
        for pack in packs_of(readings):
            states = read_together(self.network, pack)
            scored = torch.cat([each[-reading.scored :] for each, reading in zip(states, pack, strict=True)])
            tokens = torch.tensor([token for each in pack for token in each.ids[-each.scored :]])
            nll = nll_by(self.network.lm_head, scored, tokens)
            found += [part.numpy() for part in torch.split(nll, [each.scored for each in pack])]
        return found

    def text(self, ids: Sequence[int], *, scored: int) -> Reading:
        """Return the reading of BOS and these tokens, after nothing."""
        return Reading(_empty_cache(), [self.bos, *ids], scored=scored)

    def log_probabilities(self, cache: "DynamicCache", continuation: Sequence[int], *, first_position: int) -> Array:
        """Return the log-probabilities `[tokens, vocabulary]` after each token, read after the cache, which grows."""
        import torch

        hidden = self._forward(continuation, cache, first_position=first_position)
        with torch.inference_mode():
            return np.asarray(torch.log_softmax(self.network.lm_head(hidden[0]).float(), -1).numpy())

    def _forward(self, ids: Sequence[int], cache: "DynamicCache", *, first_position: int) -> "torch.Tensor":
        import torch

        positions = torch.arange(first_position, first_position + len(ids))[None]
        with torch.inference_mode():
            output = self.network.model(
                torch.tensor([list(ids)]), past_key_values=cache, position_ids=positions, use_cache=True
            )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden


def load_model(weights: Weights, *, differentiable: bool = False, half: bool = False) -> RunningModel:
    """Return the model on the CPU, in float32. Raises ModelNotSupported for what has no per-head KV-cache.

    A differentiable model lets gradients through to its cache, and is slower. Half precision (bfloat16) is several
    times faster where the processor supports it, and precise enough to train with, not to measure with.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    from latentmas.runners.onednn import use_onednn

    logging.disable_progress_bar()
    precision = torch.bfloat16 if half else torch.float32
    network = AutoModelForCausalLM.from_pretrained(weights.folder, dtype=precision, attn_implementation="sdpa")
    tokenizer = AutoTokenizer.from_pretrained(weights.folder)
    if not tokenizer.is_fast:
        raise ModelNotSupported(f"the tokenizer of {weights.model} does not say which characters a token stands for")
    bos = network.config.bos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    if bos is None:
        raise ModelNotSupported(f"{weights.model} has no BOS token, which the transfer contract puts in front")
    if differentiable:
        network.requires_grad_(False)  # for its weights; a cache still gets gradients
    else:
        use_onednn(network)
    return RunningModel(
        name=weights.model,
        weights=weights.digest,
        geometry=geometry_of(network.config, weights.model),
        bos=bos,
        network=network.eval(),
        tokenizer=tokenizer,
    )


def geometry_of(config: Any, model: str) -> KVGeometry:
    """Return the cache geometry of a transformers configuration whose keys' rotation can be undone.

    Raises ModelNotSupported.
    """
    if getattr(config.get_text_config(decoder=True), "kv_lora_rank", None):
        raise ModelNotSupported(f"{model} caches a latent (MLA), not per-head keys and values")
    rotations = configurations.rotations_of(config)
    if not all("rope_theta" in each for each in rotations):
        raise ModelNotSupported(f"the configuration of {model} does not say how it rotates its keys")
    if unknown := {each.get("rope_type", "default") for each in rotations} - {"default"}:
        raise ModelNotSupported(f"{model} scales its rotation ({', '.join(unknown)}), which cannot be undone yet")
    return configurations.geometry_of(config)


def _empty_cache() -> "DynamicCache":
    from transformers import DynamicCache

    # Without a configuration every layer keeps all tokens; the attention mask still applies the sliding window.
    return DynamicCache()
