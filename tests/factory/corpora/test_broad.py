from collections import Counter

import pytest

from factory.corpora import Split, broad, load_corpus
from factory.corpora.broad import LENGTHS, LONGEST, SHARES, SHORTEST, joined, pieces
from factory.corpora.documents import Document, digest_of
from factory.corpora.registers import REGISTERS, documents_of
from factory.corpora.suite import groups_in_use

DENSITY = 4.0  # characters a token


def document(characters: int, seed: int = 0) -> Document:
    lines = (f"Line {number} of {seed}, which says something.\n" for number in range(characters))
    text = "".join(line for line, _ in zip(lines, range(0, characters, 40), strict=False))[:characters]
    return Document(text, digest_of(text), group="a" * 64)


def test_pieces_are_parts_of_their_document_without_overlap_and_in_its_group() -> None:
    whole = document(60_000)
    found = pieces(whole, DENSITY)
    assert all(piece.text in whole.text and piece.group == whole.group for piece in found)
    assert len("".join(piece.text for piece in found)) == pytest.approx(len(whole.text), rel=0.02)
    lines = [line for piece in found for line in piece.text.splitlines()]
    assert len(set(lines)) == len(lines)


def test_pieces_have_mixed_lengths_and_most_are_short() -> None:
    lengths = [len(piece.text) for seed in range(20) for piece in pieces(document(60_000, seed), DENSITY)]
    assert max(lengths) <= LENGTHS[-1][0] * DENSITY <= LONGEST
    assert min(lengths) >= SHORTEST
    assert sum(length <= LENGTHS[0][0] * DENSITY for length in lengths) > 0.65 * len(lengths)
    assert sum(length > LENGTHS[1][0] * DENSITY for length in lengths) > 0.05 * len(lengths)


def test_news_items_stay_whole_and_long_pieces_are_several_of_them() -> None:
    texts = [document(700, seed).text.strip() for seed in range(200)]
    found = list(joined([Document(text, digest_of(text)) for text in texts], DENSITY))
    assert [part for piece in found for part in piece.text.split("\n\n")] == texts
    counts = Counter(len(piece.text.split("\n\n")) for piece in found)
    assert counts[1] == max(counts.values())
    assert max(counts) > 5
    assert all(piece.group == min(map(digest_of, piece.text.split("\n\n"))) for piece in found)


def test_every_beginning_has_the_registers_in_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        name: [document(400 + 50 * (seed % 9), 1000 * n + seed) for seed in range(60)]
        for n, name in enumerate(("news", "code", "sampled"))
    }
    owner = {each.digest: name for name, every in texts.items() for each in every}
    order = list(broad._in_shares(texts, tokens=6_000))
    shares = {name: SHARES[name] / sum(SHARES[each] for each in texts) for name in texts}
    for length in (20, 40, len(order)):
        used = Counter[str]()
        for each in order[:length]:
            used[owner[each.digest]] += len(each.text) / REGISTERS[owner[each.digest]].density
        total = sum(used.values())
        for name in texts:
            assert used[name] / total == pytest.approx(shares[name], abs=0.08)


def test_a_register_that_runs_out_leaves_its_place_to_the_others() -> None:
    texts = {"news": [document(500, 1)], "code": [document(500, seed) for seed in range(2, 12)]}
    assert len(list(broad._in_shares(texts, tokens=10**6))) == 11


@pytest.mark.models  # the texts come with optional dependencies
def test_nothing_that_the_suite_measures_on_is_in_the_broad_corpus() -> None:
    corpus = load_corpus("broad")
    assert groups_in_use().isdisjoint(document.group for document in corpus.documents)
    assert len({document.digest for document in corpus.documents}) == len(corpus.documents)
    assert max(len(document.text) for document in corpus.documents) <= corpus.cut == LONGEST
    assert all(corpus.part(split) for split in Split)


@pytest.mark.models  # the texts come with optional dependencies
def test_the_broad_corpus_can_leave_out_a_register() -> None:
    code = {document.group for document in documents_of("code")}
    corpus = load_corpus("broad-without-code")
    assert code.isdisjoint(document.group for document in corpus.documents)
    assert not code.isdisjoint(document.group for document in load_corpus("broad").documents)
    assert corpus.digest != load_corpus("broad").digest
