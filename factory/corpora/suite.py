"""The evaluation suite: held-out documents of every register at every context length, fixed in advance.

`data/suite-1.json` lists the digests of each cell's documents. A register and length with fewer groups than a cell
needs is an empty cell, which says how many there are. The core takes the first documents of each cell.
`python -m benchmarks.suite_texts --write` makes the list.
"""

import functools as ft
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from factory.corpora.digests import news_digests
from factory.corpora.documents import Document, Split, part_of
from factory.corpora.registers import REGISTERS, documents_of
from latentmas.protocol.errors import InvalidInput

SUITE = "suite/1"
CORE = "suite/1-core"
LENGTHS = {SUITE: (256, 1024, 2048), CORE: (256, 1024)}  # tokens of context
WANTED = {256: 24, 1024: 24, 2048: 16}  # groups, one document each
CORE_WANTED = {256: 24, 1024: 4}  # the first of those: what a first run measures in minutes
DIGESTED = (("news", 1024), ("news", 2048))  # longer than a news item: several in one text
SUITE_FILE = Path(__file__).parents[1] / "data" / "suite-1.json"


@dataclass(frozen=True, slots=True)
class SuiteCell:
    """The documents of a register at a context length: as many as are wanted, or none where there are fewer."""

    register: str
    length: int  # tokens of context
    read: Callable[[], tuple[Document, ...]]
    available: int  # groups that are held out and long enough
    wanted: int  # with fewer that are scored, the cell has no figures

    @property
    def documents(self) -> tuple[Document, ...]:
        """The texts. Raises InvalidInput where one is missing or is not what its digest says."""
        return self.read()


@dataclass(frozen=True, slots=True)
class EvaluationSuite:
    name: str
    digest: str  # sha256:<hex> over registers, lengths and the documents' digests
    cells: tuple[SuiteCell, ...]
    leaves_registers_out: bool = False  # maps are fitted without each register too, which takes hours

    @property
    def shortest(self) -> int:
        """The shortest context length, in tokens."""
        return min(cell.length for cell in self.cells)


@dataclass(frozen=True, slots=True)
class ListedCell:
    """A cell as it is recorded: the documents' digests, None where there are too few groups."""

    register: str
    length: int
    available: int
    documents: tuple[str, ...] | None


@ft.cache
def listed_cells() -> tuple[ListedCell, ...]:
    """Return the recorded cells of all lengths."""
    return msgspec.convert(json.loads(SUITE_FILE.read_text()), tuple[ListedCell, ...])


def load_suite(name: str = CORE) -> EvaluationSuite:
    """Return a suite; its texts are read when they are asked for. Raises InvalidInput for an unknown one."""
    if name not in LENGTHS:
        raise InvalidInput(f"there is no suite {name!r}; there are {', '.join(LENGTHS)}", field="suite")
    wanted = CORE_WANTED if name == CORE else WANTED
    listed = [_first(cell, wanted[cell.length]) for cell in listed_cells() if cell.length in LENGTHS[name]]
    cells = tuple(
        SuiteCell(each.register, each.length, ft.partial(_documents, each), each.available, wanted[each.length])
        for each in listed
    )
    return EvaluationSuite(name, _digest(listed), cells, leaves_registers_out=name == SUITE)


@ft.cache
def groups_in_use() -> frozenset[str]:
    """Return the groups of near duplicates that the suite measures on, at any length."""
    groups: set[str] = set()
    for cell in listed_cells():
        chosen = frozenset(cell.documents or ())
        held_out = part_of(documents_of(cell.register), Split.HELD_OUT) if chosen else ()
        every = (cell.register, cell.length) in DIGESTED  # the digests hold all items
        groups.update(each.group for each in held_out if every or each.digest in chosen)
    return frozenset(groups)


def _first(cell: ListedCell, count: int) -> ListedCell:
    return cell if cell.documents is None else replace(cell, documents=cell.documents[:count])


def _documents(cell: ListedCell) -> tuple[Document, ...]:
    if cell.documents is None:
        return ()
    texts = documents_of(cell.register)
    if (cell.register, cell.length) in DIGESTED:
        texts = news_digests(part_of(texts, Split.HELD_OUT), count=WANTED[cell.length])
    found = {document.digest: document for document in texts}
    missing = [digest for digest in cell.documents if digest not in found]
    if missing:
        raise InvalidInput(
            f"{len(missing)} of the {cell.register} texts of {cell.length} tokens are missing or changed, the first of "
            f"them {missing[0][:16]}: they come from {REGISTERS[cell.register].source}",
            resolution="Install the versions of constraints.txt (`make setup`).",
            field="suite",
        )
    return tuple(found[digest] for digest in cell.documents)


def _digest(cells: Sequence[ListedCell]) -> str:
    text = json.dumps([[each.register, each.length, each.documents] for each in cells], separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
