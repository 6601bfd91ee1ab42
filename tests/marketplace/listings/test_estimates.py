import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.protocol.quality import MEASURED, Interval
from marketplace.listings import estimates
from marketplace.listings.estimates import Known, MeasuredPair, Relation, estimate, similarity


@dataclass(frozen=True)
class Side:
    name: str
    family: str
    kv_width: int | None = 10_000


SMOL, GEMMA = Side("smollm2-135m", "SmolLM", 11_520), Side("gemma-3-270m", "Google Gemma", 9_216)
QWEN, LLAMA = Side("qwen3-0.6b", "Alibaba Qwen", 57_344), Side("llama-3-8b", "Meta LLaMA", 65_536)
CLOSED = Side("gpt-4", "OpenAI GPT", None)


def pair(source: Side, target: Side, retention: float = 0.86, spread: float = 0.05) -> MeasuredPair:
    interval = Interval(retention, retention - spread, retention + spread)
    return MeasuredPair(source, target, interval, f"{source.name}/{target.name}")


BOTH = [pair(SMOL, GEMMA, 0.866), pair(GEMMA, SMOL, 0.859)]
SIDES = st.builds(
    Side,
    st.sampled_from("abcdefgh"),
    st.sampled_from("ABC"),
    st.one_of(st.none(), st.integers(min_value=1, max_value=2**31 - 1)),
)
PAIRS = st.builds(pair, SIDES, SIDES, st.floats(-3, 1), st.floats(0, 0.5))


def many(count: int, retention: float = 0.86) -> list[MeasuredPair]:
    """Return measured pairs of the families of SmolLM2 and Gemma, of other models of the same widths."""
    sides = [
        (Side(f"s{n}", SMOL.family, SMOL.kv_width), Side(f"g{n}", GEMMA.family, GEMMA.kv_width)) for n in range(count)
    ]
    return [pair(source, target, retention + 0.01 * (-1) ** n) for n, (source, target) in enumerate(sides)]


def width(found: estimates.Estimate) -> float:
    return found.high - found.low


def test_without_a_measured_pair_nothing_is_known_and_no_figure_is_given():
    found = estimate(SMOL, GEMMA, [])
    assert (found.value, found.low, found.high, found.known) == (None, 0, 1, Known.NOTHING)
    assert found.knowledge.startswith("Nothing is known")


@pytest.mark.parametrize(("source", "target"), [(SMOL, GEMMA), (QWEN, LLAMA), (SMOL, QWEN), (CLOSED, LLAMA)])
def test_two_measured_pairs_are_said_to_tell_almost_nothing(source, target):
    found = estimate(source, target, BOTH)
    assert found.known is Known.ALMOST_NOTHING
    assert found.knowledge.startswith("Almost nothing is known")
    assert width(found) > 0.45


def test_even_two_pairs_of_the_same_families_and_sizes_tell_almost_nothing():
    assert estimate(SMOL, GEMMA, many(2, retention=0.5)).known is Known.ALMOST_NOTHING


def test_the_pairs_own_figure_is_named_and_not_part_of_its_estimate():
    found = estimate(SMOL, GEMMA, BOTH)
    assert found.own == BOTH[0]
    assert [each.pair for each in found.rests_on] == [BOTH[1]]
    assert "was measured: 0.866 [0.816, 0.916]. Use that figure" in found.knowledge
    assert found.value == estimate(SMOL, GEMMA, BOTH[1:]).value


def test_the_sentence_counts_what_the_estimate_rests_on():
    found = estimate(SMOL, QWEN, [*BOTH, pair(LLAMA, CLOSED)])
    assert "rests on 3 measured pairs (2 of one of the families, 1 of other families)" in found.knowledge


def test_more_similar_pairs_count_more_and_come_first():
    asked = Side("s", SMOL.family, SMOL.kv_width), Side("g", GEMMA.family, GEMMA.kv_width)
    larger = Side("s2", SMOL.family, 92_160), Side("g2", GEMMA.family, 73_728)
    order = [pair(SMOL, GEMMA), pair(*larger), pair(GEMMA, SMOL), pair(SMOL, LLAMA), pair(QWEN, LLAMA)]
    found = estimate(*asked, order[::-1])
    assert [each.pair for each in found.rests_on] == order
    relations = [Relation.SAME, Relation.SAME, Relation.REVERSED, Relation.ONE, Relation.NONE]
    assert [each.relation for each in found.rests_on] == relations
    widths = [width(estimate(*asked, [each])) for each in order]
    assert widths == sorted(widths)


def test_many_pairs_that_agree_narrow_the_interval_and_hold_the_truth():
    found = estimate(SMOL, GEMMA, many(30))
    assert found.known in (Known.LITTLE, Known.SOMETHING)
    assert width(found) < 0.35
    assert found.value == pytest.approx(0.86, abs=0.03)
    assert found.low < 0.86 < found.high


def test_pairs_that_disagree_widen_the_interval():
    apart = [pair(each.source, each.target, 0.9 if n % 2 else -0.3) for n, each in enumerate(many(30))]
    assert width(estimate(SMOL, GEMMA, apart)) > 2 * width(estimate(SMOL, GEMMA, many(30)))


def test_a_loosely_measured_pair_counts_less():
    tight, loose = (estimate(QWEN, LLAMA, [pair(SMOL, GEMMA, 0.9, spread)]) for spread in (0.01, 0.5))
    assert abs(tight.value - 0.5) > 2 * abs(loose.value - 0.5)


def test_harmful_pairs_give_an_interval_below_zero():
    found = estimate(SMOL, GEMMA, many(30, retention=-0.6))
    assert -1 <= found.low < found.value < 0


def test_a_direction_and_its_reverse_count_less_than_two_unrelated_pairs():
    unrelated = [pair(SMOL, GEMMA), pair(Side("yi-6b", "01.AI Yi"), Side("phi-2", "Microsoft Phi"))]
    reverse = [pair(SMOL, GEMMA), pair(GEMMA, SMOL)]
    assert estimate(QWEN, LLAMA, unrelated).value > estimate(QWEN, LLAMA, reverse).value


def test_a_large_catalogue_is_cut_to_the_most_similar_pairs():
    crowd = [pair(Side(f"q{n}", QWEN.family), Side(f"l{n}", LLAMA.family)) for n in range(150)]
    found = estimate(SMOL, GEMMA, [*crowd, BOTH[1]])
    assert len(found.rests_on) == estimates.MOST_PAIRS
    assert found.rests_on[0].pair == BOTH[1]


def test_its_basis_is_none_of_the_measured_ones():
    assert estimates.BASIS not in {basis.value for basis in MEASURED}


@given(SIDES, SIDES, st.lists(PAIRS, max_size=12))
def test_any_catalogue_gives_an_interval_around_its_value(source, target, measured):
    found = estimate(source, target, measured)
    assert -1 <= found.low <= found.high <= 1
    assert found.value is None or (math.isfinite(found.value) and found.value <= found.high)


@given(SIDES, SIDES, PAIRS)
def test_similarity_is_the_same_both_ways_and_below_one(source, target, other):
    there = similarity(source, target, other)
    back = similarity(other.source, other.target, pair(source, target))
    assert there == pytest.approx(back)
    assert 0 < there <= 0.85 + 1e-12
