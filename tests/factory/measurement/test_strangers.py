"""Whose memory a passage gets where it is to be a stranger's."""

import pytest

from factory.corpora import Document
from factory.corpora.suite import SuiteCell
from factory.measurement import suite

LENGTH = 128
TEXTS = ("short", "one, long enough", "short", "two, long enough", "three, long enough", "short")
DOCUMENTS = tuple(Document(text, str(number)) for number, text in enumerate(TEXTS))
CELL = SuiteCell("words", LENGTH, lambda: DOCUMENTS, len(DOCUMENTS), wanted=2)


def read(document, length):
    """Return the text in place of its passage; None for one that is too short."""
    assert length == LENGTH
    return document.text if "long" in document.text else None


@pytest.mark.parametrize(("number", "stranger"), [(1, "three"), (3, "one"), (4, "two")])
def test_it_is_the_passage_before_and_documents_that_are_too_short_are_passed_over(number, stranger):
    assert suite._stranger(CELL, number, read).startswith(stranger)


def test_a_document_alone_has_none():
    alone = SuiteCell("words", LENGTH, lambda: DOCUMENTS[:2], 2, wanted=1)
    assert suite._stranger(alone, 1, read) is None
