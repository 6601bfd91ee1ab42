import pytest

from kvcache.compression.plan import KLBound, Plan, Ratio, Target, Threshold, plan_for, token_bounds
from latentmas.protocol.errors import InvalidInput
from tests.kvcache.caches import adapter


def plan(method: str = "auto", target: Target | None = None, *, profile: bool = False, queries: bool = False) -> Plan:
    return plan_for(method, target, adapter=adapter(), with_profile=profile, with_queries=queries)


@pytest.mark.parametrize("coverage", [0, -0.1, 1.01, float("nan"), float("inf"), True, "0.9"])
def test_a_threshold_outside_0_to_1_is_refused(coverage: float) -> None:
    with pytest.raises(InvalidInput, match="it must lie above 0 and not above 1") as caught:
        Threshold(coverage)
    assert caught.value.facts["field"] == "attention_threshold"
    assert repr(coverage) in caught.value.message


@pytest.mark.parametrize("ratio", [1, 0, -3, float("nan"), float("inf"), "20"])
def test_a_ratio_that_saves_nothing_is_refused(ratio: float) -> None:
    with pytest.raises(InvalidInput, match=r"ratio is .* it must lie above 1"):
        Ratio(ratio)


@pytest.mark.parametrize("kl", [0, -1, float("nan"), float("inf")])
def test_a_bound_must_be_a_finite_number_of_nats(kl: float) -> None:
    with pytest.raises(InvalidInput, match=r"kl is .* it must be a finite number of nats above 0"):
        KLBound(kl)


def test_token_counts_are_whole_numbers_in_order() -> None:
    with pytest.raises(InvalidInput, match="min_tokens is 0"):
        Threshold(0.9, min_tokens=0)
    with pytest.raises(InvalidInput, match="max_tokens is 5; it must be at least min_tokens, 8"):
        Threshold(0.9, min_tokens=8, max_tokens=5)


def test_auto_is_the_transform_code_where_a_profile_is_given() -> None:
    assert plan(profile=True).method == "transform"
    assert plan(profile=True).kl == 0.01
    assert plan("auto", Ratio(20), profile=True).ratio == 20
    assert plan("auto", KLBound(0.04), profile=True).kl == 0.04
    assert plan("auto", Threshold(0.8), profile=True, queries=True).method == "select+transform"


def test_auto_without_a_profile_follows_the_target() -> None:
    assert plan("auto", Threshold(0.8), queries=True).method == "select"
    assert plan("auto", Ratio(4)).method == "quantise"
    assert not plan("auto", Ratio(4)).may_drop
    assert plan("auto", Ratio(4), queries=True).may_drop
    assert plan(queries=True).selection == Threshold(0.9)  # the adapter's recommendation
    assert plan().method == "quantise"


def test_a_threshold_needs_queries() -> None:
    with pytest.raises(InvalidInput, match="no queries were given") as caught:
        plan("auto", Threshold(0.9))
    assert caught.value.facts["field"] == "queries"


def test_a_bound_needs_a_profile() -> None:
    with pytest.raises(InvalidInput, match=r"a KL bound of 0.01 nats, which only a codec profile can hold") as caught:
        plan("auto", KLBound(0.01), queries=True)
    assert caught.value.facts["field"] == "profile"
    with pytest.raises(InvalidInput, match="needs a codec profile of small"):
        plan("transform")


@pytest.mark.parametrize(
    ("method", "target", "profile"),
    [
        ("quantise", Threshold(0.9), False),
        ("transform", Threshold(0.9), True),
        ("raw", Ratio(2), False),
        ("select+transform", KLBound(0.1), True),
        ("quantise", KLBound(0.1), True),
        ("zip", None, False),
    ],
)
def test_a_method_that_cannot_reach_the_target_is_refused(method: str, target: Target | None, profile: bool) -> None:
    with pytest.raises(InvalidInput) as caught:
        plan(method, target, profile=profile, queries=True)
    assert caught.value.facts["field"] in ("method", "target")


@pytest.mark.parametrize("tokens", [1, 9])
def test_a_selection_needs_the_minimum_of_tokens(tokens: int) -> None:
    with pytest.raises(InvalidInput, match=f"the cache has {tokens} tokens?; a selection needs at least 10"):
        token_bounds(Threshold(0.9), adapter(), tokens=tokens)


def test_one_token_cannot_be_selected_from() -> None:
    with pytest.raises(InvalidInput, match="the cache has 1 token; a selection needs at least 2"):
        token_bounds(Threshold(0.9, min_tokens=1), adapter(), tokens=1)


def test_a_selection_takes_its_bounds_from_the_adapter_unless_told() -> None:
    assert token_bounds(Threshold(0.9), adapter(), tokens=100) == (10, 2048)
    assert token_bounds(Threshold(0.9, min_tokens=3, max_tokens=7), adapter(), tokens=100) == (3, 7)
    with pytest.raises(InvalidInput, match="max_tokens is 5; it must be at least min_tokens, 10"):
        token_bounds(Threshold(0.9, max_tokens=5), adapter(), tokens=100)
