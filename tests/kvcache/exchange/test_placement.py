from hypothesis import given
from hypothesis import strategies as st

from kvcache.exchange.placement import causal_pairs

# "The cat sat": words for the source, pieces for the target.
WORDS = [(0, 3), (3, 7), (7, 11)]
PIECES = [(0, 2), (2, 3), (3, 5), (5, 7), (7, 11)]


def test_a_token_takes_the_last_source_token_that_ends_no_later() -> None:
    assert causal_pairs(WORDS, PIECES).tolist() == [0, 1, 1, 2, 3]


def test_the_same_tokenizer_gives_the_identity() -> None:
    assert causal_pairs(PIECES, PIECES).tolist() == [1, 2, 3, 4, 5]


def test_several_tokens_of_one_character_take_the_last_of_them() -> None:
    split_character = [(0, 1), (0, 1), (0, 1), (1, 2)]
    assert causal_pairs(split_character, [(0, 1), (1, 2)]).tolist() == [3, 4]


def test_a_text_without_source_tokens_leaves_only_bos() -> None:
    assert causal_pairs([], WORDS).tolist() == [0, 0, 0]


@st.composite
def tilings(draw: st.DrawFn) -> list[tuple[int, int]]:
    ends = sorted(draw(st.sets(st.integers(1, 40), min_size=1)))
    return list(zip([0, *ends], ends, strict=False))


@given(tilings(), tilings())
def test_no_token_is_paired_with_text_it_has_not_read(
    source: list[tuple[int, int]], target: list[tuple[int, int]]
) -> None:
    pairs = causal_pairs(source, target).tolist()
    assert pairs == sorted(pairs)
    for (_, end), row in zip(target, pairs, strict=True):
        assert row == 0 or source[row - 1][1] <= end
        assert row == len(source) or source[row][1] > end
