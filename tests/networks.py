"""Networks of transformers with random weights, small enough to be run in a test. They predict nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

SHAPE: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,  # large enough for attention to matter
}


def network_of(config: Any, *, seed: int = 7) -> Any:
    """Return the causal model that a configuration describes."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config).eval()


def llama(**changes: Any) -> Any:
    from transformers import LlamaConfig

    return network_of(LlamaConfig(**SHAPE | changes))


def mistral(**changes: Any) -> Any:
    from transformers import MistralConfig

    return network_of(MistralConfig(**SHAPE | changes))


def gemma(**changes: Any) -> Any:
    from transformers import Gemma3TextConfig

    return network_of(Gemma3TextConfig(**SHAPE | {"head_dim": 16} | changes))


def save(network: Any, folder: Path, *, words: Sequence[str]) -> None:
    """Write a network as transformers loads it, with a tokenizer that knows these words after `<s>` and `<unk>`."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = {word: number for number, word in enumerate(("<s>", "<unk>", *words))}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>").save_pretrained(folder)
    network.save_pretrained(folder)
