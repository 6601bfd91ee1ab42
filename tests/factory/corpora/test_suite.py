from dataclasses import replace

import pytest

from factory.corpora import suite
from factory.corpora.documents import Document, Split, digest_of
from factory.corpora.suite import CORE, LENGTHS, SUITE, ListedCell, groups_in_use, listed_cells, load_suite
from latentmas.protocol.errors import InvalidInput

TEXTS = [f"text {number} of a register" for number in range(60)]
HELD_OUT = [each for text in TEXTS if (each := Document(text, digest_of(text))).split is Split.HELD_OUT]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[ListedCell]:
    """Return the cells of a small suite, which tests may change."""
    cells = [
        ListedCell("speeches", 256, 30, tuple(each.digest for each in HELD_OUT[:2])),
        ListedCell("speeches", 2048, 3, None),
    ]
    monkeypatch.setattr(suite, "listed_cells", lambda: tuple(cells))
    monkeypatch.setattr(suite, "documents_of", lambda _register: tuple(Document(t, digest_of(t)) for t in TEXTS))
    return cells


def test_a_cell_has_its_documents_and_an_empty_one_says_how_many_groups_there_are(listed: list[ListedCell]) -> None:
    full, empty = load_suite(SUITE).cells
    assert (full.register, full.length, full.documents, full.wanted) == ("speeches", 256, tuple(HELD_OUT[:2]), 24)
    assert (empty.documents, empty.available, empty.wanted) == ((), 3, 16)


def test_the_core_has_no_cells_beyond_1024_tokens(listed: list[ListedCell]) -> None:
    assert [(cell.length, cell.wanted) for cell in load_suite(CORE).cells] == [(256, suite.CORE_WANTED[256])]


def test_the_digest_follows_from_the_documents(listed: list[ListedCell]) -> None:
    before = load_suite(SUITE)
    listed[0] = replace(listed[0], documents=tuple(each.digest for each in HELD_OUT[1:3]))
    assert load_suite(SUITE).digest not in (before.digest, load_suite(CORE).digest)


def test_a_text_that_is_missing_or_changed_is_named(listed: list[ListedCell]) -> None:
    listed[0] = replace(listed[0], documents=(HELD_OUT[0].digest, "ab" * 32))
    cell = load_suite(SUITE).cells[0]
    with pytest.raises(InvalidInput, match=r"1 of the speeches texts of 256 tokens .* abababababababab: .* speeches"):
        list(cell.documents)


def test_it_names_the_suites_that_there_are() -> None:
    with pytest.raises(InvalidInput, match="no suite 'suite/9'; there are suite/1, suite/1-core"):
        load_suite("suite/9")


def test_the_recorded_suite_has_a_cell_for_every_register_and_length() -> None:
    cells = listed_cells()
    registers = {cell.register for cell in cells}
    assert len(cells) == len(registers) * len(LENGTHS[SUITE])
    for cell in cells:
        wanted = suite.WANTED[cell.length]
        assert cell.documents is None if cell.available < wanted else len(cell.documents or ()) == wanted


@pytest.mark.models  # the texts come with optional dependencies
def test_the_core_is_the_beginning_of_each_cell() -> None:
    whole = {(cell.register, cell.length): cell.documents for cell in load_suite(SUITE).cells}
    for cell in load_suite(CORE).cells:
        assert cell.documents == whole[cell.register, cell.length][: cell.wanted]


@pytest.mark.models  # the texts come with optional dependencies
def test_the_texts_of_the_suite_are_installed_held_out_and_one_of_a_group() -> None:
    for cell in load_suite(SUITE).cells:
        assert {document.split for document in cell.documents} <= {Split.HELD_OUT}
        assert all(digest_of(document.text) == document.digest for document in cell.documents)
        assert len({document.group for document in cell.documents}) == len(cell.documents)
        assert {document.group for document in cell.documents} <= groups_in_use()
