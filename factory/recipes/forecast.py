"""Fit what retention to expect of a single memory, by the signs that an exchange sees of it.

Ridge on standardised signs, with the intercept free: a Bayesian linear model whose prior on every coefficient is as
wide as the spread of single memories. The memories are selection documents of all registers. Each counts by how much
its context could help the target: where that is little, its retention is mostly noise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from factory.measurement.evaluation import UNCONDITIONAL, exchanged, nll_of, sink_of
from factory.measurement.passages import Passage
from factory.runners.model import RunningModel
from kvcache.exchange.exchange import exchange
from kvcache.exchange.mapping import OpenedWMatrix
from kvcache.exchange.signs import SIGNS
from latentmas.protocol.forecast import Forecast
from latentmas.protocol.quality import TokenMode

PRIOR = 1.0
CONFIDENCE = 0.95
FORECAST_TOKENS = 128  # of continuation: on 64 the forecasts come out too optimistic for longer ones
LEAST_POSSIBLE = 0.01  # nats a token: contexts that help less say nothing of retention


@dataclass(frozen=True, slots=True)
class Example:
    """A memory whose retention was measured; `possible` is what its text would have given, in nats a token."""

    mode: TokenMode
    signs: Mapping[str, float]
    retention: float
    possible: float


def fit_forecasts(examples: Sequence[Example]) -> tuple[Forecast, ...]:
    """Return a forecast for each mode that there are enough examples of."""
    by_mode = {mode: [each for each in examples if each.mode is mode] for mode in TokenMode}
    return tuple(fit_forecast(mode, known) for mode, known in by_mode.items() if len(known) > len(SIGNS) + 1)


def fit_forecast(mode: TokenMode, examples: Sequence[Example]) -> Forecast:
    """Return the forecast that examples of one mode give."""
    names = tuple(name for name in SIGNS if all(name in each.signs for each in examples))
    seen = np.array([[each.signs[name] for name in names] for each in examples])
    mean, scale = seen.mean(axis=0), np.maximum(seen.std(axis=0), np.finfo(np.float32).eps)
    features = np.column_stack([np.ones(len(seen)), (seen - mean) / scale])
    weights = np.square([each.possible for each in examples])
    weighted = features * (weights / weights.mean())[:, None]
    covariance = np.linalg.inv(weighted.T @ features + PRIOR * np.diag([0.0] + [1.0] * len(names)))
    retentions = np.array([each.retention for each in examples])
    coefficients = covariance @ weighted.T @ retentions
    freedom = len(examples) - features.shape[1]
    squares = np.square(retentions - features @ coefficients) * weights / weights.mean()
    return Forecast(
        mode=mode,
        signs=names,
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        coefficients=tuple(coefficients.tolist()),
        covariance=tuple(map(tuple, covariance.tolist())),
        spread=float(np.sqrt(squares.sum() / freedom)),
        quantile=float(student.ppf(0.5 + CONFIDENCE / 2, freedom)),
        memories=len(examples),
    )


def examples_of(passage: Passage, w_matrix: OpenedWMatrix, *, target: RunningModel) -> Iterator[Example]:
    """Yield what a passage teaches in both modes; nothing where its context hardly helps."""
    nothing, own = nll_of(target, sink_of(passage), passage), nll_of(target, passage.own, passage)
    if nothing - own < LEAST_POSSIBLE:
        return
    by_mode = {
        TokenMode.TOKENS_KNOWN: exchanged(passage, w_matrix),
        TokenMode.SOURCE_TOKENS: exchange(passage.source, w_matrix, policy=UNCONDITIONAL),
    }
    for mode, done in by_mode.items():
        kept = (nothing - nll_of(target, done.snapshot, passage)) / (nothing - own)
        yield Example(mode, done.signs, kept, nothing - own)
