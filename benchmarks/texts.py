"""The texts that a benchmark measures on: an evaluation suite, or texts of your own that are in nobody's list."""

import argparse
import functools as ft
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from factory.corpora.suite import EvaluationSuite

CHARACTERS_PER_TOKEN = 6  # more than English needs: a piece must be long enough
CONTINUATION = 64


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `suite_of` reads."""
    parser.add_argument("--suite", default="suite/1-core")
    parser.add_argument("--texts", action="append", default=[], metavar="NAME=PATH", help="a folder, or a file")
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 1024], help="of your own texts, in tokens")
    parser.add_argument("--documents", type=int, default=10, help="of each register of your own")


def suite_of(options: argparse.Namespace) -> "EvaluationSuite":
    """Return the suite that was named, or that of the texts that were given."""
    from factory.corpora.suite import load_suite

    if not options.texts:
        return load_suite(options.suite)
    return _of_texts(options)


def _of_texts(options: argparse.Namespace) -> "EvaluationSuite":
    from factory.corpora.documents import Document, digest_of
    from factory.corpora.suite import EvaluationSuite, SuiteCell

    cells = []
    for given in options.texts:
        name, _, path = given.partition("=")
        for length in sorted(options.lengths):
            pieces = _pieces(Path(path), (length + CONTINUATION) * CHARACTERS_PER_TOKEN)[: options.documents]
            documents = tuple(Document(piece, digest_of(piece)) for piece in pieces)
            cells.append(SuiteCell(name, length, ft.partial(tuple, documents), len(documents), wanted=1))
    return EvaluationSuite("texts of your own", "-", tuple(sorted(cells, key=lambda cell: cell.length)))


def _pieces(path: Path, characters: int) -> list[str]:
    """Return one piece of each file of a folder, or all pieces of a single file."""
    if path.is_dir():
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in sorted(path.rglob("*.txt"))]
        return [text[:characters] for text in texts if len(text) >= characters]
    text = path.read_text(encoding="utf-8", errors="replace")
    return [text[start : start + characters] for start in range(0, len(text) - characters, characters)]
