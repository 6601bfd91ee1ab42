"""How many modules a reader passes through in a compression, an exchange and a cold start, one call each.

    python -m benchmarks.walks             # three counts, as one JSON line
    python -m benchmarks.walks --list      # the modules by name too

A module counts where a function of it runs during the call, in any thread. What runs because a module is imported does
not count, nor do `__init__` and migrations, nor what every request passes before its view (middleware, authentication).
Two tiny models of random weights are fitted, measured and listed as `make run` does it; then a memory of the one is
compressed, and handed over to the other, by requests that were sent once before.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

PRODUCT = ("latentmas", "kvcache", "marketplace", "factory", "awareness_sdk")
MODELS = ("walker-one", "walker-two")
LAYERS, HEADS, HEAD_DIM, THETA = 2, 2, 32, 10_000.0
WORDS, DOCUMENTS, WORDS_OF_DOCUMENT, TOKENS_OF_DOCUMENT = 40, 90, 20, 200
COLD_START: dict[str, Any] = {"max_pairs": 1, "test_samples": 300, "calibration_tokens": 4000}
COLD_START |= {"unified_dimension": 128}
CELL_DOCUMENTS, CELL_TOKENS = 10, 128
TOKENS, QUERIES = 24, 4  # of the memory
FILE = "application/vnd.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the modules' names")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        walks = walk(Path(folder))
    for name, modules in walks.items() if options.list else ():
        print(name, *(f"    {module}" for module in sorted(modules)), sep="\n")
    print(json.dumps({name: len(modules) for name, modules in walks.items()}))


def walk(folder: Path) -> dict[str, set[str]]:
    """Return the modules that each walk enters; whatever is written goes into the folder."""
    os.environ |= {"DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "latentmas.settings", "OMP_NUM_THREADS": "1"}
    for name in ("DATABASE_URL", "CACHE_DIR", "ENVIRONMENT"):
        os.environ.pop(name, None)
    import django

    django.setup()
    from django.apps import apps
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    text = prepare(folder)
    measure_on(text)
    options = COLD_START | {"models": ",".join(MODELS), "corpus": text, "publish": True}
    cold_start = entered(lambda: call_command("generate_cold_start", **options, stdout=StringIO()))
    listing = apps.get_model("listings", "Listing").objects.get()
    assert listing.tier is not None, "the certificate was refused"
    plain, with_queries = memory(listing.source_model)
    align = f"/api/latentmas/kv-cache/align?target_model={listing.target_model}&require_inside=false"
    compress = posted("/api/kv-cache/compress", with_queries)
    return {"compress": compress, "align": posted(align, plain), "cold_start": cold_start}


def entered(call: Callable[[], object], *, view: tuple[str, str] | None = None) -> set[str]:
    """Return the product's modules of which a function is called meanwhile, or while a view (module, name) runs."""
    names: set[str] = set()
    entry: FrameType | None = None

    def saw(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal entry
        name = frame.f_globals.get("__name__", "")
        if event == "call" and view == (name, frame.f_code.co_name):
            entry = frame
        elif event == "return" and frame is entry:
            entry = None
        if event != "call" or (view and entry is None):
            return
        ours = name.partition(".")[0] in PRODUCT and "__path__" not in frame.f_globals and ".migrations." not in name
        if ours and name not in names and not is_import(frame):
            names.add(name)

    threading.setprofile(saw)
    sys.setprofile(saw)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return names


def is_import(frame: FrameType | None) -> bool:
    """Return whether the frame runs because a module is being imported."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals["__name__"] != "__main__":
            return True
        frame = frame.f_back
    return False


def posted(address: str, body: bytes) -> set[str]:
    """Return the modules entered while the view of the address answers the second of two equal requests."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client
    from django.urls import resolve

    User.objects.get_or_create(username="walker")
    token = StringIO()
    call_command("create_token", "walker", stdout=token, stderr=StringIO())
    headers = {"Authorization": f"Bearer {token.getvalue().strip()}", "Accept": FILE}
    client = Client(headers=headers, SERVER_NAME="localhost")

    def post() -> None:
        response = client.post(address, body, FILE)
        assert response.status_code == 200, response.content

    post()
    view = resolve(address.partition("?")[0]).func.cls  # type: ignore[attr-defined]
    return entered(post, view=(view.__module__, view.__name__))


def prepare(folder: Path) -> str:
    """Register the models, put their weights where converted ones are kept, and return the corpus's path."""
    from django.core.management import call_command

    from latentmas.runners.weights import PACKAGED

    shape = {"num_layers": LAYERS, "num_attention_heads": HEADS, "num_kv_heads": HEADS, "head_dim": HEAD_DIM}
    rope = {"position_encoding": "rope", "attention_type": "full", "rope": {"theta": THETA, "layout": "half"}}
    facts = {"open_weights": True, "popularity": 90, "architecture": shape | rope}
    (folder / "models.json").write_text(json.dumps({"models": [facts | {"name": n, "family": n} for n in MODELS]}))
    call_command("load_registry", file=folder / "models.json", stdout=StringIO())
    for seed, name in enumerate(MODELS):
        original = folder / f"{name}.gguf"
        original.write_text(name)
        save_model(folder / f"cache/converted/{name}-{hashlib.sha256(name.encode()).hexdigest()[:16]}", seed)
        PACKAGED[name] = lambda _cache, original=original: original
    return corpus(folder / "corpus.txt")


def measure_on(text: str) -> None:
    """Let held-out documents of a corpus stand for the evaluation suite, whose words the tiny models do not know."""
    from factory.cold_start import run
    from factory.corpora import Split, load_corpus
    from factory.corpora.suite import EvaluationSuite, SuiteCell

    def load_suite(name: str) -> EvaluationSuite:
        documents = load_corpus(text).part(Split.HELD_OUT)[:CELL_DOCUMENTS]
        cell = SuiteCell("words", CELL_TOKENS, lambda: documents, len(documents), wanted=CELL_DOCUMENTS)
        return EvaluationSuite(name, f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", (cell,))

    run.load_suite = load_suite  # type: ignore[assignment]


def corpus(path: Path) -> str:
    """Write documents that say few words, again and again, and return the path."""
    generator = np.random.default_rng(0)
    chosen = [generator.choice(WORDS, WORDS_OF_DOCUMENT, replace=False) for _ in range(DOCUMENTS)]
    texts = (" ".join(f"word{word}" for word in generator.choice(few, TOKENS_OF_DOCUMENT)) for few in chosen)
    path.write_text("\n".join(texts))
    return str(path)


def save_model(folder: Path, seed: int) -> None:
    """Write a model that expects the words it has read: values become words again on their way out of attention."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, logging

    logging.disable_progress_bar()
    words = {"<s>": 0, "<unk>": 1} | {f"word{number}": 2 + number for number in range(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>").save_pretrained(folder)
    width = HEADS * HEAD_DIM
    shape = {"hidden_size": width, "intermediate_size": width, "num_hidden_layers": LAYERS, "rope_theta": THETA}
    heads = {"num_attention_heads": HEADS, "num_key_value_heads": HEADS, "tie_word_embeddings": True}
    torch.manual_seed(seed)
    network = LlamaForCausalLM(LlamaConfig(**shape, **heads, vocab_size=len(words), bos_token_id=0))
    for layer in network.model.layers:
        torch.nn.init.orthogonal_(layer.self_attn.v_proj.weight)
        layer.self_attn.o_proj.weight.data.copy_(layer.self_attn.v_proj.weight.T)
    network.save_pretrained(folder)


def memory(model: str) -> tuple[bytes, bytes]:
    """Return the raw snapshot file of a made-up memory, without and with queries."""
    from latentmas.protocol.geometry import KVGeometry
    from latentmas.protocol.snapshot import KVSnapshot, whole, write_snapshot

    geometry = KVGeometry(LAYERS, HEADS, HEAD_DIM, HEAD_DIM, (THETA,) * LAYERS, (None,) * LAYERS)
    shape = (3, LAYERS, TOKENS, HEADS, HEAD_DIM)
    keys, values, queries = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    snapshot = KVSnapshot(whole(geometry, TOKENS, model=model), keys, values)
    return write_snapshot(snapshot), write_snapshot(snapshot, queries=queries[:, :QUERIES])


if __name__ == "__main__":
    main()
