"""The presses of kvpress on given windows, run by an interpreter that has kvpress: imports nothing of this project.

    PYTHON benchmarks/compression/press_scores.py REQUEST.json > SCORES.jsonl

The request holds the model's folder, its BOS token, the presses' names and windows of token ids; each line of the
answer is one press at one budget: of each window its ratio in entries kept, KL and top-1 agreement against the full
cache in the same environment, or why it did not run. Indices of the kept entries, which differ by head and layer, are
not counted: in favour of the presses.
"""

import json
import sys
from pathlib import Path
from typing import Any

import kvpress
import torch
from transformers import AutoModelForCausalLM, DynamicCache

BUDGETS = (0.25, 0.05)
CHUNK = 8  # of the continuation: KVzip's masking finds no mask for many queries at once


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(request["threads"])
    model = AutoModelForCausalLM.from_pretrained(request["folder"], dtype=torch.float32, attn_implementation="sdpa")
    model.eval()
    windows = [([request["bos"], *window["context"]], window["continuation"]) for window in request["windows"]]
    with torch.no_grad():
        own = [continued(model, prefilled(model, context), len(context), following) for context, following in windows]
        for name in request["presses"]:
            for budget in BUDGETS:
                try:
                    answer = measured(model, windows, own, name, budget)
                except Exception as error:  # a press that does not fit this model says so in its own way
                    answer = {"refused": f"{type(error).__name__}: {error}".splitlines()[0][:160]}
                print(json.dumps({"press": name, "budget": budget} | answer), flush=True)


def measured(model: Any, windows: Any, own: Any, name: str, budget: float) -> dict[str, Any]:
    readings = []
    for (context, following), reference in zip(windows, own, strict=True):
        press = getattr(kvpress, f"{name}Press")(compression_ratio=1 - budget)
        if name == "SnapKV":  # its window of 64 tokens is more than the smaller budget holds
            press.window_size = min(press.window_size, int(budget * len(context)) // 2)
        cache = prefilled(model, context, press)
        masked = sum(
            len(indices[0])
            for layer in model.model.layers
            if (indices := getattr(layer.self_attn, "masked_key_indices", None)) is not None
        )
        entries = len(cache.layers) * len(context) * cache.layers[0].keys.shape[1]
        kept = sum(layer.keys.shape[1] * layer.keys.shape[2] for layer in cache.layers) - masked
        found = continued(model, cache, len(context), following)
        kl = (reference.exp() * (reference - found)).sum(-1)
        same = (reference.argmax(-1) == found.argmax(-1)).float()
        readings.append((entries / kept, kl.mean().item(), same.mean().item()))
    return dict(zip(("ratio", "kl", "top1"), zip(*readings, strict=True), strict=True))


def prefilled(model: Any, context: list[int], press: Any = None) -> DynamicCache:
    for layer in model.model.layers:
        layer.self_attn.masked_key_indices = None
    cache, ids = DynamicCache(), torch.tensor([context])
    if press is None:
        model.model(input_ids=ids, past_key_values=cache)
    else:
        with press(model):
            model.model(input_ids=ids, past_key_values=cache)
    return cache


def continued(model: Any, cache: DynamicCache, position: int, following: list[int]) -> torch.Tensor:
    """Return the log-probabilities along the continuation, at the positions after the whole context."""
    parts = []
    for start in range(0, len(following), CHUNK):
        ids = torch.tensor([following[start : start + CHUNK]])
        places = torch.arange(position + start, position + start + ids.shape[1])[None]
        parts.append(model(input_ids=ids, past_key_values=cache, position_ids=places).logits[0])
    return torch.log_softmax(torch.cat(parts).float(), -1)


if __name__ == "__main__":
    main()
