import pytest

from factory.codec.windows import CONTINUATION_TOKENS, documents_of, read_windows
from latentmas.protocol.errors import InvalidInput
from tests.tiny import document

CONTEXT = 72
LENGTH = CONTEXT + CONTINUATION_TOKENS


def test_windows_are_spread_over_the_documents_before_one_is_read_twice(tiny) -> None:
    documents = [document(LENGTH * parts + 5, seed) for seed, parts in enumerate((3, 1, 2))]
    windows = read_windows(documents, tiny, wanted=100, context=CONTEXT)
    ids = [tiny.encode(each.text).ids for each in documents]
    expected = [(0, 0), (1, 0), (2, 0), (0, 1), (2, 1), (0, 2)]
    for window, (number, turn) in zip(windows, expected, strict=True):
        start = turn * LENGTH
        assert window.context == ids[number][start : start + CONTEXT]
        assert window.continuation == ids[number][start + CONTEXT : start + LENGTH]
    assert read_windows(documents, tiny, wanted=4, context=CONTEXT) == windows[:4]
    assert documents_of(windows[:4]) == 3


def test_short_documents_are_read_one_after_the_other(tiny) -> None:
    documents = [document(90, seed) for seed in range(7)]
    (first, second) = read_windows(documents, tiny, wanted=9, context=CONTEXT)
    joined = "\n\n".join(each.text for each in documents)
    read = bytes(token - 1 for token in (*first.context, *first.continuation)).decode()
    assert joined.startswith(read)
    assert documents_of([first, second]) == 2


def test_a_corpus_without_one_window_is_refused(tiny) -> None:
    for documents in ([], [document(40)]):
        with pytest.raises(InvalidInput, match=f"the corpus has no {LENGTH} tokens to read") as caught:
            read_windows(documents, tiny, wanted=2, context=CONTEXT)
        assert caught.value.facts["field"] == "corpus"
