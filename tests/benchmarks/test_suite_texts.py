import json
import lzma
from pathlib import Path

import pytest

from benchmarks.suite_texts import __main__ as suite_texts
from benchmarks.suite_texts import speeches
from factory.corpora.documents import Document, Split, digest_of

HELD_OUT = [
    each
    for number in range(200)
    if (each := Document(text := f"{number} " + "word " * number, digest_of(text))).split is Split.HELD_OUT
]


def tokens(text: str) -> int:
    return len(text.split())


def test_a_cell_takes_one_document_a_group_that_is_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(suite_texts.WANTED, 64, 8)
    same = [Document(each.text, each.digest, HELD_OUT[-1].group) for each in HELD_OUT[-4:]]
    monkeypatch.setattr(suite_texts, "documents_of", lambda _register: (*HELD_OUT[:-4], *same))
    cell = suite_texts._cell("speeches", 64, tokens)
    long = [each for each in HELD_OUT[:-4] if tokens(each.text) >= 1.05 * 128]
    assert cell.available == len(long) + 1
    assert cell.documents is not None
    assert len(cell.documents) == 8
    assert list(cell.documents) == sorted(cell.documents)
    assert len({each.digest for each in same} & set(cell.documents)) <= 1


def test_a_cell_with_too_few_groups_is_none_and_says_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(suite_texts.WANTED, 64, 500)
    monkeypatch.setattr(suite_texts, "documents_of", lambda _register: tuple(HELD_OUT))
    cell = suite_texts._cell("speeches", 64, tokens)
    assert cell.documents is None
    assert 0 < cell.available < len(HELD_OUT)


def test_speeches_lose_their_headings_times_and_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inaugural").mkdir()
    (tmp_path / "state_union").mkdir()
    (tmp_path / "inaugural" / "1801-Somebody.txt").write_text("Friends:\n\nWe are here.\n")
    heading = "ADDRESS TO THE CONGRESS\n \nJanuary 2, 1999 \n\n9:10 P.M. EST\n\n"
    body = "THE PRESIDENT: Thank you. (Applause.) Be seated. [Laughter]\nGood\u2019s.\n"
    (tmp_path / "state_union" / "1999-Else-2.txt").write_bytes((heading + body).encode("big5"))
    monkeypatch.setattr(speeches, "DATA", tmp_path)
    monkeypatch.setattr("sys.argv", ["speeches", str(tmp_path)])
    speeches.main()
    assert json.loads(lzma.decompress((tmp_path / "speeches.json.xz").read_bytes())) == [
        {"name": "inaugural address, Somebody", "year": 1801, "text": "Friends:\n\nWe are here."},
        {"name": "State of the Union, Else-2", "year": 1999, "text": "Thank you. Be seated.\n\nGood\u2019s."},
    ]


def test_a_speech_ends_with_a_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeches, "CHARACTERS", 30)
    assert speeches._excerpt("One paragraph.\nAnother.\nA third paragraph.") == "One paragraph.\n\nAnother."
