import random

import pytest

from factory.corpora import load_corpus
from factory.corpora.documents import digest_of
from factory.corpora.duplicates import near_duplicates, recorded_groups
from factory.corpora.registers import REGISTERS, documents_of, origins_of

WORDS = [f"word{number}" for number in range(5_000)]


def text(words: int, seed: int) -> list[str]:
    return random.Random(seed).choices(WORDS, k=words)


def grouped(*texts: list[str]) -> list[set[int]]:
    """Return the groups as places in the arguments."""
    joined = [" ".join(words) for words in texts]
    places = {digest_of(each): number for number, each in enumerate(joined)}
    groups = near_duplicates({digest_of(each): each for each in joined})
    assert all(group == sorted(group) for group in groups)
    return [{places[digest] for digest in group} for group in groups]


def test_texts_that_share_half_of_their_words_are_near_duplicates() -> None:
    common = text(150, 0)
    assert grouped(common + text(150, 1), text(300, 2), text(150, 3) + common) == [{0, 2}]


def test_texts_that_share_a_tenth_are_not() -> None:
    common = text(30, 0)
    assert grouped(common + text(270, 1), common + text(270, 2)) == []


def test_a_short_text_inside_a_long_one_is_a_near_duplicate() -> None:
    short = text(200, 0)
    assert grouped(text(500, 1) + short + text(900, 2), short, text(300, 3)) == [{0, 1}]


def test_near_duplicates_of_near_duplicates_are_in_one_group() -> None:
    first, second, third = text(200, 0), text(200, 1), text(200, 2)
    assert grouped(first + second, second + third, first + text(30, 3), text(400, 4)) == [{0, 1, 2}]


def test_the_case_of_letters_and_signs_do_not_count() -> None:
    words = text(100, 0)
    assert grouped(words, [f"{word.upper()}," for word in words]) == [{0, 1}]


@pytest.mark.parametrize("short", ["", "one", "one two three"])
def test_texts_shorter_than_a_gram_are_compared_whole(short: str) -> None:
    assert grouped([short], [short, " "], text(50, 0)) == [{0, 1}]


def test_groups_do_not_depend_on_the_other_texts() -> None:
    common = text(150, 0)
    pair = (common + text(150, 1), common + text(150, 2))
    assert grouped(*pair) == grouped(*pair, *(text(200, seed) for seed in range(10, 60))) == [{0, 1}]


@pytest.mark.models  # the texts come with an optional dependency
def test_the_two_pairs_of_lee_items_that_straddled_the_splits_no_longer_do() -> None:
    groups: dict[str, list[str]] = {}
    for document in load_corpus("lee").documents:
        groups.setdefault(document.group, []).append(document.digest)
    assert len([group for group in groups.values() if len(group) > 1]) == 4
    assert len({each.split for each in load_corpus("lee").documents if each.group != each.digest}) >= 1


@pytest.mark.models  # the texts come with optional dependencies; half a minute
def test_the_recorded_groups_are_those_of_the_installed_texts() -> None:
    found = near_duplicates({each.whole: each.text for name in REGISTERS for each in origins_of(name)})
    assert {digest: group[0] for group in found for digest in group[1:]} == recorded_groups()
    assert any(document.group != document.digest for document in documents_of("reference"))
