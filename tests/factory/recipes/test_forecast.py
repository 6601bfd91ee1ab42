"""The forecast's fit, against numpy's least squares and on examples whose law is known."""

import numpy as np
import pytest

from factory.recipes.forecast import Example, fit_forecast, fit_forecasts
from kvcache.exchange.signs import DISTANCE, INNOVATION, LENGTH, UNEXPLAINED
from latentmas.protocol.quality import TokenMode

KNOWN, SOURCE = TokenMode.TOKENS_KNOWN, TokenMode.SOURCE_TOKENS


def examples(count: int, *, noise: float = 0.0, mode: TokenMode = KNOWN, seed: int = 0) -> list[Example]:
    """Retention falls with the innovation and the length."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        signs = {name: generator.normal() for name in (DISTANCE, UNEXPLAINED, INNOVATION, LENGTH)}
        kept = 0.7 - 0.2 * signs[INNOVATION] - 0.05 * signs[LENGTH] + noise * generator.normal()
        if mode is SOURCE:
            del signs[INNOVATION]
        found.append(Example(mode, signs, kept, possible=generator.uniform(0.5, 1.5)))
    return found


def test_it_finds_the_law_behind_the_examples() -> None:
    forecast = fit_forecast(KNOWN, examples(400, noise=0.05))
    fresh = examples(50, seed=1)
    found = [forecast.of(each.signs).value for each in fresh]
    np.testing.assert_allclose(found, [each.retention for each in fresh], atol=0.02)
    assert forecast.spread == pytest.approx(0.05, rel=0.2)


def test_its_interval_holds_nineteen_of_twenty_memories() -> None:
    forecast = fit_forecast(KNOWN, examples(60, noise=0.1))
    fresh = [(forecast.of(each.signs), each.retention) for each in examples(2000, noise=0.1, seed=1)]
    inside = np.mean([interval.low <= kept <= interval.high for interval, kept in fresh])
    assert 0.90 < inside < 0.99


def test_an_example_whose_text_helps_little_hardly_counts() -> None:
    misleading = [Example(KNOWN, each.signs, 5.0, possible=0.01) for each in examples(50, seed=2)]
    with_them = fit_forecast(KNOWN, [*examples(100), *misleading])
    without = fit_forecast(KNOWN, examples(100))
    signs = examples(1, seed=3)[0].signs
    assert with_them.of(signs).value == pytest.approx(without.of(signs).value, abs=0.05)


def test_every_mode_has_a_forecast_of_the_signs_it_has() -> None:
    found = fit_forecasts([*examples(30), *examples(30, mode=SOURCE)])
    assert {each.mode: each.signs for each in found} == {
        KNOWN: (DISTANCE, UNEXPLAINED, INNOVATION, LENGTH),
        SOURCE: (DISTANCE, UNEXPLAINED, LENGTH),
    }


def test_a_few_examples_give_no_forecast() -> None:
    assert fit_forecasts(examples(5)) == ()
