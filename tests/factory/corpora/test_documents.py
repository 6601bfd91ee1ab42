import pytest

from factory.corpora.documents import Document, Split, TextCorpus, corpus_of, digest_of, split_of
from latentmas.protocol.errors import InvalidInput

TEXTS = [f"text {number}" for number in range(40)]


def test_a_document_without_near_duplicates_is_its_own_group() -> None:
    document = Document("text", digest_of("text"))
    assert document.group == document.digest
    assert document.split is split_of(document.digest)


def test_near_duplicates_have_the_split_of_their_group() -> None:
    groups = [digest_of(text) for text in TEXTS]
    assert {Document("text", digest_of("text"), group).split for group in groups} == set(Split)
    for group in groups:
        assert Document("text", digest_of("text"), group).split is Document("another", "0" * 64, group).split


def test_a_corpus_takes_the_groups_that_it_is_given() -> None:
    digests = sorted(map(digest_of, TEXTS))
    corpus = corpus_of("texts", TEXTS, {digests[1]: digests[0]})
    assert [document.group for document in corpus.documents] == [digests[0], digests[0], *digests[2:]]
    assert corpus.digest == corpus_of("others", reversed(TEXTS), {}).digest


def test_the_parts_of_a_corpus_hold_every_document_once() -> None:
    corpus = corpus_of("texts", TEXTS, {})
    parts = [document for split in Split for document in corpus.part(split)]
    assert sorted(parts, key=lambda document: document.digest) == list(corpus.documents)


def test_too_few_documents_cannot_be_split() -> None:
    with pytest.raises(InvalidInput, match="has 3 documents"):
        corpus_of("few", TEXTS[:3], {})


def test_a_corpus_is_read_up_to_the_usual_cut_unless_it_says_otherwise() -> None:
    assert TextCorpus("a", "sha256:0", ()).cut == 2048
