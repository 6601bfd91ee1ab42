"""Compression judged on the models beside its peers: ratio in real bytes, quality, retrieval, speed, shifted text.

    python -m benchmarks.compression [--parts PART,...] [--model NAME] [--groups GROUP,...] [--arms ARM,...]
        [--documents N] [--profile NAME=FILE] [--kvpress-python PATH]

The README's table, of 8 windows:

    python -m benchmarks.compression --parts ratio,kvpress --groups wikipedia --model smollm2-135m --kvpress-python PATH

Codec profiles that are not given are calibrated once and kept in the cache folder, as are the bases of KVTC, which
takes longer than the rest. kvpress needs an environment of its own, since it wants another transformers:

    python3.11 -m venv kvpress && kvpress/bin/pip install torch==2.13.0 kvpress==0.5.5

Ends with one JSON line.
"""

import argparse
import json
from pathlib import Path

from benchmarks.session import scratch_folder
from benchmarks.tables import rounded

MODELS = ("smollm2-135m", "gemma-3-270m")
PARTS = ("ratio", "kvpress", "shift", "bounds", "probe", "speed", "table")
PRESSES = "SnapKV,Knorm,StreamingLLM,ExpectedAttention,TOVA,KeyDiff,KVzip"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--documents", type=int, default=8, help="windows of the first group; others have half as many")
    parser.add_argument("--groups", help="of text, by name; all by default")
    parser.add_argument("--arms", help="of the part `ratio`: those whose names begin so; all by default")
    parser.add_argument("--bound-windows", type=int, default=2, help="of each group, in the part `bounds`")
    parser.add_argument("--probes", type=int, default=25, help="contexts, of four questions each")
    parser.add_argument("--longest", type=int, default=16_384, help="tokens of the longest snapshot that is timed")
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--profile", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--kvpress-python", type=Path)
    parser.add_argument("--presses", default=PRESSES)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if unknown := set(options.parts.split(",")) - set(PARTS):
        parser.error(f"--parts has {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    options.model = options.model or list(MODELS)
    with scratch_folder() as scratch:
        from benchmarks.compression.run import run

        print(json.dumps(rounded(run(options, scratch))))


if __name__ == "__main__":
    main()
