import hashlib
from itertools import pairwise

import pytest

from factory.corpora import Document, Split, TextCorpus
from factory.packs.sentences import LEAST_CHARACTERS, MOST_CHARACTERS, SHORTEST_REST, cut, passages_within

SENTENCE = "Here is a sentence of about fifty characters, or so. "


def corpus(*texts: str) -> TextCorpus:
    documents = tuple(Document(text, hashlib.sha256(text.encode()).hexdigest()) for text in texts)
    return TextCorpus("test", "sha256:" + "0" * 64, documents)


def test_passages_end_where_sentences_end() -> None:
    text = SENTENCE * 20
    spans = cut(text)
    assert len(spans) == 5
    for start, end in spans:
        assert text[start:end].startswith("Here")
        assert text[start:end].endswith("so.")
        assert LEAST_CHARACTERS <= end - start <= MOST_CHARACTERS


def test_passages_do_not_overlap_and_skip_nothing_but_white_space() -> None:
    text = "\n\n" + SENTENCE * 12
    spans = cut(text)
    between = [text[end:start] for (_, end), (start, _) in pairwise(spans)]
    assert all(not gap.strip() for gap in between)


def test_text_without_sentences_is_cut_at_spaces() -> None:
    text = "word " * 400
    spans = cut(text)
    assert all(end - start <= MOST_CHARACTERS for start, end in spans)
    assert all(text[start:end].endswith("word") for start, end in spans)


def test_text_without_spaces_is_cut_all_the_same() -> None:
    assert cut("x" * 1000) == [(0, 384), (384, 768), (768, 1000)]


@pytest.mark.parametrize("text", ["", "   \n ", "Too short.", "x" * (SHORTEST_REST - 1)])
def test_what_is_too_short_gives_no_passage(text: str) -> None:
    assert cut(text) == []


def test_the_budget_is_shared_out_and_every_document_gives_about_as_many() -> None:
    texts = [f"Document {number}. " + SENTENCE * 60 for number in range(60)]
    chosen = passages_within(corpus(*texts), budget=100)
    counted = {split: [len(each.spans) for each in chosen if each.document.split is split] for split in Split}
    assert sum(counted[Split.CALIBRATION]) <= 60
    assert sum(counted[Split.SELECTION]) <= 10
    assert sum(counted[Split.HELD_OUT]) <= 30
    for split in Split:
        assert max(counted[split]) <= -(-100 // len(counted[split]))


def test_passages_are_spread_over_a_long_document() -> None:
    texts = [SENTENCE * 100 + f"The end of {number}." for number in range(40)]
    chosen = passages_within(corpus(*texts), budget=200)
    long = next(each for each in chosen if len(each.spans) > 1)
    assert long.spans[-1][0] > len(long.document.text) / 3


def test_the_same_corpus_gives_the_same_passages() -> None:
    texts = [f"{number} " + SENTENCE * 30 for number in range(40)]
    assert passages_within(corpus(*texts), budget=90) == passages_within(corpus(*texts), budget=90)
