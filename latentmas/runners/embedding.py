"""Run a model that embeds a passage as one vector: a sentence encoder as configured by its files, or a language model.

A language model's vector is the mean of its last hidden states over the passage's tokens. BOS is put in front and left
out of the mean: an attention sink's state is many times longer than the others.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentmas.protocol.errors import ModelNotSupported
from latentmas.protocol.tensors import Array
from latentmas.runners.weights import Weights

BATCH = 16  # passages of about the same length
ENCODER_PIPELINE = ("Transformer", "Pooling", "Normalize")  # what a sentence encoder's modules.json may hold
MEAN_POOLING = "pooling_mode_mean_tokens"


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """A loaded model. Vectors are `[passages, dimension]`, float32, of length one where `normalised`."""

    name: str
    weights: str
    dimension: int
    network: Any  # transformers' base model; its classes are not typed
    tokenizer: Any
    bos: int | None  # in front of a language model's tokens; None: the tokenizer adds what an encoder wants
    max_tokens: int | None
    normalised: bool

    def embed(self, passages: Sequence[str]) -> Array:
        """Return one vector a passage. Raises ModelNotSupported where a passage has no token."""
        encoded = [self._encode(passage) for passage in passages]
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))  # little padding in a batch
        vectors = np.empty((len(encoded), self.dimension), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            vectors[batch] = self._mean_states([encoded[index] for index in batch])
        if self.normalised:
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _encode(self, passage: str) -> list[int]:
        encoded = self.tokenizer(
            passage,
            add_special_tokens=self.bos is None,
            truncation=self.max_tokens is not None,
            max_length=self.max_tokens,
        )
        ids: list[int] = encoded["input_ids"]
        if not ids:
            raise ModelNotSupported(f"{self.name} reads no token in a passage of {len(passage)} characters")
        return ids if self.bos is None else [self.bos, *ids]

    def _mean_states(self, batch: Sequence[list[int]]) -> Array:
        """Return the mean last hidden state of each sequence's own tokens; padding, on the right, is masked."""
        import torch

        longest = max(map(len, batch))
        tokens = torch.zeros((len(batch), longest), dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for row, ids in enumerate(batch):
            tokens[row, : len(ids)] = torch.tensor(ids)
            mask[row, : len(ids)] = 1
        with torch.inference_mode():
            states = self.network(input_ids=tokens, attention_mask=mask).last_hidden_state
        counted = mask.float()
        if self.bos is not None:
            counted[:, 0] = 0.0
        sums = torch.einsum("bth,bt->bh", states, counted)
        return np.asarray((sums / counted.sum(1, keepdim=True)).numpy())


def load_embedding_model(weights: Weights) -> EmbeddingModel:
    """Return the model in float32 on the CPU. Raises ModelNotSupported for an encoder without mean pooling."""
    import torch
    from transformers import AutoModel, AutoTokenizer, logging

    from latentmas.runners.onednn import use_onednn

    logging.disable_progress_bar()
    encoder = (weights.folder / "modules.json").is_file()
    if encoder:
        _require_mean_pooling(weights)
    network = AutoModel.from_pretrained(weights.folder, dtype=torch.float32, attn_implementation="sdpa")
    tokenizer = AutoTokenizer.from_pretrained(weights.folder)
    bos = None if encoder else tokenizer.bos_token_id
    if not encoder and bos is None:
        raise ModelNotSupported(f"{weights.model} has no BOS token and is no sentence encoder")
    use_onednn(network)
    return EmbeddingModel(
        name=weights.model,
        weights=weights.digest,
        dimension=network.config.hidden_size,
        network=network.eval(),
        tokenizer=tokenizer,
        bos=bos,
        max_tokens=_json(weights.folder / "sentence_bert_config.json")["max_seq_length"] if encoder else None,
        normalised=encoder and _pipeline(weights) == ENCODER_PIPELINE,
    )


def _require_mean_pooling(weights: Weights) -> None:
    pipeline = _pipeline(weights)
    pooling = _json(weights.folder / "1_Pooling" / "config.json")
    modes = [name for name, chosen in pooling.items() if name.startswith("pooling_mode_") and chosen]
    if modes != [MEAN_POOLING] or pipeline not in (ENCODER_PIPELINE, ENCODER_PIPELINE[:2]):
        raise ModelNotSupported(
            f"{weights.model} is a pipeline of {', '.join(pipeline)} that pools by {', '.join(modes) or 'nothing'}; "
            "only the mean over tokens, with or without normalisation, is run here"
        )


def _pipeline(weights: Weights) -> tuple[str, ...]:
    modules = _json(weights.folder / "modules.json")
    return tuple(str(module["type"]).rsplit(".", 1)[-1] for module in modules)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelNotSupported(f"{path.name} of the sentence encoder cannot be read: {error}") from error
