"""Choose the texts of the evaluation suite and group near duplicates, or check that the recorded choice still stands.

    python -m benchmarks.suite_texts            # the table of groups, and whether the recorded files agree; a minute
    python -m benchmarks.suite_texts --write    # writes groups.json, corpora.json and suite-1.json into factory/data

A cell's documents are held out and one a group, the first in the order of their digests. Each has as many tokens as
the context and the continuation need, and a margin, in both packaged tokenizers. `--write` makes another suite: give it
another number where figures have been published.
"""

import argparse
import functools as ft
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.session import set_up_django
from benchmarks.tables import print_table
from factory.corpora.broad import BROAD
from factory.corpora.digests import news_digests
from factory.corpora.documents import Document, Split
from factory.corpora.duplicates import GROUPS, near_duplicates, recorded_groups
from factory.corpora.known import KNOWN_CORPORA, KnownCorpus
from factory.corpora.loading import BOTH, LEE, WIKIPEDIA, load_corpus
from factory.corpora.registers import REGISTERS, documents_of, origins_of
from factory.corpora.suite import DIGESTED, LENGTHS, SUITE, SUITE_FILE, WANTED, ListedCell, listed_cells
from factory.measurement.passages import CONTINUATION_TOKENS

KNOWN = (LEE, WIKIPEDIA, BOTH, BROAD)
TOKENIZERS = ("smollm2-135m", "gemma-3-270m")
SHORTEST = {256: 192}  # tokens of context that are enough; otherwise the whole length
MARGIN = 1.05
MARGIN_OF_DIGESTS = 1.0  # then all held-out news make 24 of 1 024 tokens; at 1.05 they make 23
CHARACTERS = 24_000  # of a text are counted: more than 2 048 tokens
Lengths = Callable[[str], int]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the files instead of comparing them")
    options = parser.parse_args()
    set_up_django()
    agree = _keep(GROUPS, _lines(_groups()), write=options.write)
    recorded_groups.cache_clear()
    cells = [_cell(name, length, _tokens()) for name in REGISTERS for length in LENGTHS[SUITE]]
    agree &= _keep(SUITE_FILE, _lines([asdict(cell) for cell in cells]), write=options.write)
    listed_cells.cache_clear()
    agree &= _keep(KNOWN_CORPORA, _lines([asdict(_corpus(each)) for each in KNOWN]), write=options.write)
    print_table("held-out groups: there are / chosen", [_row(name, cells) for name in REGISTERS])
    sys.exit(0 if agree else "The recorded files are not what the installed texts give.")


def _groups() -> list[list[str]]:
    return near_duplicates({each.whole: each.text for name in REGISTERS for each in origins_of(name)})


def _corpus(location: str) -> KnownCorpus:
    """Return what is recorded of a corpus; only those of pieces know their documents' groups by themselves."""
    corpus = load_corpus(location)
    groups = {each.digest: each.group for each in corpus.documents}
    if location != BROAD:
        groups = {digest: recorded_groups().get(digest, digest) for digest in groups}
    return KnownCorpus(
        name=corpus.name,
        digest=corpus.digest,
        location=location,
        documents={each.digest: len(each.text) for each in corpus.documents},
        groups={digest: group for digest, group in groups.items() if digest != group},
        cut=corpus.cut,
    )


def _cell(register: str, length: int, tokens: Lengths) -> ListedCell:
    held_out = [each for each in documents_of(register) if each.split is Split.HELD_OUT]
    needed = SHORTEST.get(length, length) + CONTINUATION_TOKENS
    if (register, length) in DIGESTED:
        return _cell_of_digests(register, length, held_out, lambda text: tokens(text) >= MARGIN_OF_DIGESTS * needed)
    long = {each.group: each for each in reversed(held_out) if tokens(each.text) >= MARGIN * needed}
    return _listed(register, length, sorted(each.digest for each in long.values()))


def _cell_of_digests(
    register: str, length: int, items: Sequence[Document], enough: Callable[[str], bool]
) -> ListedCell:
    """Return the cell of the digests of all items, as many as the suite wants, or else as there can be."""
    for count in range(WANTED[length], 0, -1):
        digests = news_digests(items, count=count)
        if all(enough(each.text) for each in digests):
            return _listed(register, length, [each.digest for each in digests])
    return _listed(register, length, [])


def _listed(register: str, length: int, digests: Sequence[str]) -> ListedCell:
    chosen = tuple(digests[: WANTED[length]]) if len(digests) >= WANTED[length] else None
    return ListedCell(register, length, len(digests), chosen)


@ft.cache
def _tokens() -> Lengths:
    """Return how many tokens a text has at least, in the tokenizer that makes fewest of it."""
    from django.conf import settings
    from transformers import AutoTokenizer

    from latentmas.runners.weights import find_weights

    folders: list[Path] = [find_weights(name, cache=settings.CACHE_DIR).folder for name in TOKENIZERS]
    tokenizers = [AutoTokenizer.from_pretrained(folder) for folder in folders]

    @ft.cache
    def fewest(text: str) -> int:
        options = {"add_special_tokens": False, "verbose": False}
        return min(len(tokenizer(text[:CHARACTERS], **options)["input_ids"]) for tokenizer in tokenizers)

    return fewest


def _row(register: str, cells: Sequence[ListedCell]) -> dict[str, object]:
    own = {cell.length: cell for cell in cells if cell.register == register}
    counts = {str(length): f"{cell.available} / {len(cell.documents or ())}" for length, cell in own.items()}
    documents = documents_of(register)
    return {"register": register, "texts": len(documents), "groups": len({each.group for each in documents})} | counts


def _lines(value: Any) -> str:
    return json.dumps(value, indent=0) + "\n"


def _keep(path: Path, content: str, *, write: bool) -> bool:
    """Write the file, or return whether it holds just this."""
    if write:
        path.write_text(content)
        return True
    same = path.is_file() and path.read_text() == content
    print(f"{path.name} {'agrees' if same else 'differs'}")
    return same


if __name__ == "__main__":
    main()
