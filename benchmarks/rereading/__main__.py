"""Read a few tokens in place: what a handed-over memory then keeps, which facts it knows again, and what that costs.

    python -m benchmarks.rereading --w-matrix FILE [--w-matrix FILE] [--parts kept facts speed]
    python -m benchmarks.rereading --w-matrix FILE --parts kept --texts essays=FOLDER --documents 10

`kept` is the retention on an evaluation suite, or on texts of your own, with choosers that know no question; beside it
the same tokens as text and nothing else. `facts` asks paraphrased questions about invented facts. `speed` pins the
process to one core. Without a file the best listed W-Matrices of both directions are taken. Ends with one JSON line.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.session import models_of, pin, set_up_django, w_matrices
from benchmarks.tables import print_table, rounded
from benchmarks.texts import DOCUMENTS, add_options, suite_of

if TYPE_CHECKING:
    from benchmarks.exchange.run import Direction

ENCODER = "all-minilm-l6-v2"
PARTS = ("kept", "facts", "speed")
CONTEXTS = 52  # of four facts: 208 cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--w-matrix", type=Path, action="append", help="of one direction; default: the best listed")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--contexts", type=int, default=CONTEXTS)
    add_options(parser)
    options = parser.parse_args()
    if options.contexts < 2:
        parser.error("--contexts must be at least 2: the stranger's memory is another one's")
    pin(1)
    set_up_django()
    print(json.dumps(rounded(dict(_measured(options)))))


def _measured(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    import torch

    from benchmarks.exchange.run import Direction

    torch.set_num_threads(1)
    for matrix in w_matrices(options.w_matrix):
        direction = Direction(*models_of(matrix.document), matrix, "auto")
        measure = {"kept": _kept, "facts": _facts, "speed": _speed}
        yield direction.name, {part: measure[part](direction, options) for part in options.parts}


def _kept(direction: "Direction", options: argparse.Namespace) -> list[dict[str, Any]]:
    from benchmarks.rereading.kept import PLANS, cells

    rows = []
    models = {"source": direction.source, "target": direction.target}
    for row in cells(suite_of(options), direction.w_matrix, PLANS, **models, documents=options.documents or DOCUMENTS):
        print(json.dumps(row), flush=True)
        rows.append(row)
    print_table(f"{direction.name}: kept", [{name: _first(value) for name, value in row.items()} for row in rows])
    return rows


def _facts(direction: "Direction", options: argparse.Namespace) -> list[dict[str, Any]]:
    from django.conf import settings

    from benchmarks.exchange import questions
    from benchmarks.rereading.facts import PLANS, ask
    from benchmarks.rereading.wording import reworded
    from factory.corpora import WIKIPEDIA, Split, load_corpus
    from latentmas.runners.embedding import load_embedding_model
    from latentmas.runners.weights import find_weights

    documents = load_corpus(WIKIPEDIA).part(Split.HELD_OUT)
    probes = questions.probes(documents, wanted=options.contexts, word=reworded)
    encoder = load_embedding_model(find_weights(ENCODER, cache=settings.CACHE_DIR))
    found = ask(direction, probes, PLANS, embed=encoder.embed)
    rows = [
        dict(zip(("arm", "right", "said", "lead (nats)"), (arm, *figures.mean(axis=0).tolist()), strict=True))
        for arm, figures in found.items()
    ]
    print_table(f"{direction.name}: {4 * len(probes)} paraphrased questions", rows)
    return rows


def _speed(direction: "Direction", _options: argparse.Namespace) -> list[dict[str, Any]]:
    from benchmarks.rereading.speed import speed
    from factory.corpora import WIKIPEDIA, Split, load_corpus

    documents: Sequence[Any] = load_corpus(WIKIPEDIA).part(Split.HELD_OUT)
    rows = [row for tokens in (1024, 2048) for row in speed(direction, documents, tokens=tokens)]
    print_table(f"{direction.name}: time on one core", rows)
    return rows


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
