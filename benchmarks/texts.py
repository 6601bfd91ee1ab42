"""The texts that a benchmark measures on: an evaluation suite, or texts of your own that are in nobody's list."""

import argparse
import functools as ft
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from factory.corpora.suite import EvaluationSuite, SuiteCell

CHARACTERS_PER_TOKEN = 6  # more than English needs: a piece must be long enough
CONTINUATION = 64
LENGTHS, DOCUMENTS = (256, 1024), 10  # of texts of your own


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `suite_of` reads."""
    parser.add_argument("--suite", default="suite/1-core")
    parser.add_argument("--texts", action="append", default=[], metavar="NAME=PATH", help="a folder, or a file")
    parser.add_argument("--lengths", type=int, nargs="+", help="of contexts, in tokens: 256 and 1 024, or the suite's")
    parser.add_argument("--documents", type=int, help="of each register and length: 10, or as many as the suite has")


def suite_of(options: argparse.Namespace) -> "EvaluationSuite":
    """Return the suite that was named, or a part of it, or that of the texts that were given."""
    from factory.corpora.suite import load_suite

    if options.texts:
        return _of_texts(options)
    suite = load_suite(options.suite)
    return suite if options.lengths is None and options.documents is None else _part_of(suite, options)


def _part_of(suite: "EvaluationSuite", options: argparse.Namespace) -> "EvaluationSuite":
    from factory.corpora.suite import EvaluationSuite

    cells = [cell for cell in suite.cells if cell.length in (options.lengths or [cell.length])]
    if options.documents is not None:
        cells = [_shortened(cell, options.documents) for cell in cells]
    return EvaluationSuite(f"part of {suite.name}", "-", tuple(cells))


def _shortened(cell: "SuiteCell", most: int) -> "SuiteCell":
    wanted = min(cell.wanted, most)
    return replace(cell, read=lambda: cell.documents[:wanted], wanted=wanted)


def _of_texts(options: argparse.Namespace) -> "EvaluationSuite":
    from factory.corpora.documents import Document, digest_of
    from factory.corpora.suite import EvaluationSuite, SuiteCell

    cells = []
    for given in options.texts:
        name, _, path = given.partition("=")
        for length in sorted(options.lengths or LENGTHS):
            pieces = _pieces(Path(path), (length + CONTINUATION) * CHARACTERS_PER_TOKEN)
            documents = tuple(Document(each, digest_of(each)) for each in pieces[: options.documents or DOCUMENTS])
            cells.append(SuiteCell(name, length, ft.partial(tuple, documents), len(documents), wanted=1))
    return EvaluationSuite("texts of your own", "-", tuple(sorted(cells, key=lambda cell: cell.length)))


def _pieces(path: Path, characters: int) -> list[str]:
    """Return one piece of each file of a folder, or all pieces of a single file."""
    if path.is_dir():
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in sorted(path.rglob("*.txt"))]
        return [text[:characters] for text in texts if len(text) >= characters]
    text = path.read_text(encoding="utf-8", errors="replace")
    return [text[start : start + characters] for start in range(0, len(text) - characters, characters)]
