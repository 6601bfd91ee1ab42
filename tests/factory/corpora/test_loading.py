import hashlib
import json
from pathlib import Path

import pytest

from factory.corpora import Document, Split, load_corpus, loading
from latentmas.protocol.errors import InvalidInput, TooLarge

TEXTS = [f"Document number {index} says something of its own." for index in range(40)]


def test_the_default_corpus_is_lee_and_its_near_duplicates_share_a_split() -> None:
    corpus = load_corpus()
    assert corpus.name == "lee-background"
    assert corpus.digest == "sha256:44a91e5f20ab9e12352cd6405559390fdf43d800185ef50b27e8f8e2894351bd"
    sizes = {split: len(corpus.part(split)) for split in Split}
    assert sizes == {Split.CALIBRATION: 158, Split.SELECTION: 29, Split.HELD_OUT: 106}


def test_every_form_of_the_same_documents_is_the_same_corpus(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(TEXTS))
    (tmp_path / "paragraphs.txt").write_text("\n\n".join(TEXTS))
    (tmp_path / "lines.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))
    (folder := tmp_path / "folder").mkdir()
    for index, text in enumerate(TEXTS):
        (folder / f"{index}.txt").write_text(text)
    names = ("lines.txt", "paragraphs.txt", "lines.jsonl", "folder")
    assert len({load_corpus(str(tmp_path / name)).digest for name in names}) == 1


def test_a_document_given_twice_counts_once(tmp_path: Path) -> None:
    (tmp_path / "twice.txt").write_text("\n".join(TEXTS + TEXTS))
    assert len(load_corpus(str(tmp_path / "twice.txt")).documents) == len(TEXTS)


def test_the_split_of_a_document_depends_on_nothing_but_its_text(tmp_path: Path) -> None:
    documents = [Document(text, hashlib.sha256(text.encode()).hexdigest()) for text in TEXTS]
    splits = {document.text: document.split for document in documents}
    assert set(splits.values()) == set(Split)
    (tmp_path / "few.txt").write_text("\n".join(reversed(TEXTS[5:20])))
    few = load_corpus(str(tmp_path / "few.txt")).documents
    assert {document.text: document.split for document in few} == {text: splits[text] for text in TEXTS[5:20]}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("small.txt", b"one\ntwo\nthree", "has 3 documents; 12 are the least"),
        ("binary.txt", b"\xff\xfe\x00text", "not UTF-8 text"),
        ("broken.jsonl", b'{"text": "a"}\nnot json', "line 2 of broken.jsonl is not JSON"),
        ("other.jsonl", b'{"body": "a"}', "no text in its field 'text'"),
        ("list.jsonl", b"[1]", "no text in its field 'text'"),
        ("empty.txt", b"", "has 0 documents"),
    ],
)
def test_it_says_why_a_corpus_cannot_be_used(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=reason):
        load_corpus(str(tmp_path / name))


def test_it_names_the_registers_that_the_broad_corpus_can_leave_out() -> None:
    with pytest.raises(InvalidInput, match="no corpus 'broad-without-poetry'") as raised:
        load_corpus("broad-without-poetry")
    assert "speeches" in str(raised.value.advice)


def test_it_refuses_a_corpus_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        load_corpus(str(tmp_path / "absent"))


def test_it_refuses_a_file_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_CORPUS_BYTES", 10)
    (tmp_path / "large.txt").write_text("\n".join(TEXTS))
    with pytest.raises(TooLarge):
        load_corpus(str(tmp_path / "large.txt"))
