from factory.cold_start.planner import Candidate, Limits, fit_cost, plan
from latentmas.protocol.quality import Basis, Interval
from marketplace.listings.estimates import Known, MeasuredPair, Relation, estimate


def candidate(name: str, family: str, popularity: int | None = 80, *, can_run: bool = False, latent: int | None = 64):
    return Candidate(name, family, popularity, kv_width=128, latent_dimension=latent, can_run=can_run)


GPT4 = candidate("gpt-4", "GPT", 95)
GPT3 = candidate("gpt-3.5", "GPT", 100)
LLAMA = candidate("llama-3-8b", "LLaMA", 87)
YI = candidate("yi-34b", "Yi", 71)
UNKNOWN = candidate("o1", "OpenAI", None)
SMOL = candidate("smollm2-135m", "SmolLM", 70, can_run=True)
GEMMA = candidate("gemma-3-270m", "Gemma", 70, can_run=True)
ALL = [GPT4, GPT3, LLAMA, YI, UNKNOWN, SMOL, GEMMA]


def names(pairs) -> list[tuple[str, str]]:
    return [(pair.source.name, pair.target.name) for pair in pairs]


def test_pairs_are_of_different_families_by_combined_popularity() -> None:
    pairs = plan([GPT4, GPT3, LLAMA], Limits())
    assert names(pairs) == [
        ("gpt-3.5", "llama-3-8b"),
        ("llama-3-8b", "gpt-3.5"),
        ("gpt-4", "llama-3-8b"),
        ("llama-3-8b", "gpt-4"),
    ]
    assert {pair.basis for pair in pairs} == {Basis.SIMULATED}


def test_pairs_that_can_be_run_come_first_whatever_their_popularity() -> None:
    pairs = plan(ALL, Limits(min_popularity=90))
    assert names(pairs)[:2] == [("gemma-3-270m", "smollm2-135m"), ("smollm2-135m", "gemma-3-270m")]
    assert [pair.basis for pair in pairs[:2]] == [Basis.FUNCTIONAL] * 2


def test_of_those_a_distilled_one_is_first() -> None:
    distilled = {("smollm2-135m", "gemma-3-270m")}
    assert names(plan(ALL, Limits(), distilled=distilled))[:2] == [
        ("smollm2-135m", "gemma-3-270m"),
        ("gemma-3-270m", "smollm2-135m"),
    ]


def test_a_pair_with_only_one_runnable_model_is_simulated_and_needs_the_popularity() -> None:
    assert names(plan([SMOL, LLAMA], Limits(min_popularity=75))) == []
    pairs = plan([SMOL, LLAMA], Limits(min_popularity=70))
    assert [pair.basis for pair in pairs] == [Basis.SIMULATED] * 2


def test_the_popularity_floor_and_unknown_popularity_keep_models_out() -> None:
    chosen = {name for pair in names(plan(ALL, Limits())) for name in pair}
    assert chosen.isdisjoint({"yi-34b", "o1"})


def test_a_model_without_any_known_dimension_is_left_out() -> None:
    assert plan([GPT4, candidate("x", "X", 99, latent=None)], Limits()) == []


def test_no_simulated_leaves_what_can_be_measured() -> None:
    assert len(plan(ALL, Limits(simulated=False))) == 2


def test_the_batch_is_cut_at_its_size() -> None:
    assert len(plan(ALL, Limits(max_pairs=3))) == 3


def test_a_planned_pair_is_estimated_by_the_same_rule_as_over_rest() -> None:
    (pair, _) = plan([SMOL, GEMMA], Limits())
    assert estimate(pair.source, pair.target, []).known is Known.NOTHING
    measured = [MeasuredPair(pair.target, pair.source, Interval(0.86, 0.81, 0.91), "a listing")]
    found = estimate(pair.source, pair.target, measured)
    assert (found.known, found.rests_on[0].relation) == (Known.ALMOST_NOTHING, Relation.REVERSED)


def test_the_cost_counts_gram_matrices_and_solve() -> None:
    assert fit_cost(2, 3, rows=10, primal=True) == 10 * 2 * 5 + 8 // 3 + 12
    assert fit_cost(2, 3, rows=10, primal=False) == 100 * 5 + 1000
