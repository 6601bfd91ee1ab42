from factory.corpora.documents import CUT
from factory.corpora.known import corpus_with, known_corpora


def test_corpora_are_found_by_name_and_by_digest() -> None:
    for known in known_corpora():
        assert corpus_with(name=known.name) is corpus_with(digest=known.digest) is known
    assert corpus_with(name="absent") is None


def test_groups_are_given_where_they_differ_from_the_digest() -> None:
    for known in known_corpora():
        assert known.groups.keys() <= known.documents.keys()
        assert all(digest != group for digest, group in known.groups.items())
    assert [len(known.groups) for known in known_corpora()[:3]] == [4, 0, 4]


def test_the_documents_of_the_broad_corpus_are_as_long_as_it_is_read() -> None:
    broad = corpus_with(name="broad")
    assert broad is not None
    assert CUT < max(broad.documents.values()) <= broad.cut
