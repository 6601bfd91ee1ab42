import pytest

from factory.cold_start.planner import Candidate, Limits, MeasuredPair, estimate, fit_cost, plan
from latentmas.protocol.quality import Basis


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


def test_an_estimate_is_the_mean_of_measured_pairs_of_the_same_families() -> None:
    (pair, _) = plan([GPT4, LLAMA], Limits())
    measured = [
        MeasuredPair("gpt-3.5", "llama-3-70b", "GPT", "LLaMA", 0.8),
        MeasuredPair("gpt-4o", "llama-2-7b", "GPT", "LLaMA", 0.6),
        MeasuredPair("llama-2-7b", "gpt-4o", "LLaMA", "GPT", 0.1),
    ]
    guess = estimate(pair, measured)
    assert guess is not None
    assert guess.retention == pytest.approx(0.7)
    assert guess.pairs == ("gpt-3.5 -> llama-3-70b", "gpt-4o -> llama-2-7b")


def test_without_a_measured_pair_there_is_no_estimate() -> None:
    (pair, _) = plan([GPT4, LLAMA], Limits())
    assert estimate(pair, [MeasuredPair("a", "b", "A", "B", 0.9)]) is None


def test_the_cost_counts_gram_matrices_and_solve() -> None:
    assert fit_cost(2, 3, rows=10, primal=True) == 10 * 2 * 5 + 8 // 3 + 12
    assert fit_cost(2, 3, rows=10, primal=False) == 100 * 5 + 1000
