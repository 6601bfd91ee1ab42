"""Estimate the retention of a pair of models before a W-Matrix between them is made, from pairs that were measured.

Pure. The estimate is no measurement and earns no certificate: its basis is `estimated`, which is none of the four.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from latentmas.protocol.quality import Interval

BASIS = "estimated"
COVERAGE = 0.95
PRIOR_MEAN = 0.5  # with the next line: 95 % of unknown pairs retain between 0 and 1
PRIOR_HALF_WIDTH = 0.5
PRIOR_PAIRS = 10  # so many measured pairs weigh as much as the prior in what the spread between pairs is
LOWEST, HIGHEST = -1.0, 1.0  # of an interval's ends; retention is below 1, and far below 0 harmful whatever it is
MOST_PAIRS = 100  # an estimate rests on at most so many, the most similar ones
FEW_PAIRS = 3  # fewer do not show how far pairs differ
NORMAL_95 = 1.96  # standard errors between a measured figure and the end of its interval

# What two pairs share of the variance between pairs, in parts of 1. The rest, .15, is each pair's own.
ANY = 0.20
KIND = 0.10  # both within one family, or both between families
FAMILIES = 0.20  # of families in common, on either side
BOTH_FAMILIES = 0.10  # the same two, in either direction
DIRECTION = 0.15  # the same two in the same direction
SIZES = 0.10  # of equal cache widths; falls by e for every DOUBLINGS of both sides together
DOUBLINGS = 2.0


class Known(StrEnum):
    """How much is known, by the width of the interval before it is cut to what retention can be."""

    NOTHING = "nothing"  # no measured pair
    ALMOST_NOTHING = "almost nothing"  # from 0.5, or fewer than FEW_PAIRS
    LITTLE = "little"  # from 0.25
    SOMETHING = "something"


class Relation(StrEnum):
    """How a measured pair's families relate to those of the pair in question."""

    SAME = "same families"
    REVERSED = "same families, reversed"
    ONE = "one family in common"
    NONE = "other families"


class Model(Protocol):
    """The facts of a model that an estimate uses. `kv_width`: numbers cached per token, None where unpublished."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def kv_width(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class MeasuredPair:
    """A pair whose retention was measured by running the target model, certified or refused."""

    source: Model
    target: Model
    retention: Interval
    listing_id: str

    def __str__(self) -> str:
        return f"{self.source.name} → {self.target.name}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured pair that an estimate rests on; `similarity` is its correlation with the pair in question."""

    pair: MeasuredPair
    relation: Relation
    similarity: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an unmeasured pair may retain: 95 % of pairs like it lie inside. `value` is None where nothing is known."""

    value: float | None
    low: float
    high: float
    known: Known
    knowledge: str  # in a sentence: how much is known, and what it rests on
    rests_on: tuple[Evidence, ...]  # the most similar first
    own: MeasuredPair | None  # what was measured for exactly this pair; the estimate does not rest on it


def estimate(source: Model, target: Model, measured: Sequence[MeasuredPair]) -> Estimate:
    """Return the predictive interval of one pair's retention given measured pairs, its own figure left out.

    Retentions of all pairs are taken as jointly normal around PRIOR_MEAN, their covariance a common variance times
    `similarity`, the prior of that variance a scaled inverse chi-square worth PRIOR_PAIRS pairs. An unmeasured pair
    then has a Student-t distribution (a Gaussian process with its scale unknown; Shah, Wilson and Ghahramani 2014):
    without any pair its interval is 0 to 1, and the more similar pairs there are and the better they agree, the
    narrower it is. A measured figure's own interval counts as noise; two directions of one pair count as less than
    two pairs. The shares of the variance are set by hand: too few pairs are measured to learn them.
    """
    own = next((each for each in measured if _is_of(source, target, each)), None)
    evidence = _most_similar(source, target, [each for each in measured if not _is_of(source, target, each)])
    center, half = _predict(evidence)
    low, high = (min(max(end, LOWEST), HIGHEST) for end in (center - half, center + half))
    known = _known(len(evidence), width=2 * half)
    knowledge = _sentence(known, evidence, low=low, high=high) + _instead(own)
    return Estimate(min(center, HIGHEST) if evidence else None, low, high, known, knowledge, evidence, own)


def similarity(source: Model, target: Model, other: MeasuredPair) -> float:
    """Return the correlation of two different pairs' retentions before anything is measured: at most .85."""
    ours, theirs = {source.family, target.family}, {other.source.family, other.target.family}
    same_way = (source.family, target.family) == (other.source.family, other.target.family)
    shares = (
        ANY,
        KIND * (len(ours) == len(theirs)),
        FAMILIES * len(ours & theirs) / math.sqrt(len(ours) * len(theirs)),
        BOTH_FAMILIES * (ours == theirs),
        DIRECTION * same_way,
        SIZES * math.exp(-(_doublings(source, other.source) + _doublings(target, other.target)) / DOUBLINGS),
    )
    return sum(shares)


def relation(source: Model, target: Model, other: MeasuredPair) -> Relation:
    ours, theirs = (source.family, target.family), (other.source.family, other.target.family)
    if ours == theirs:
        return Relation.SAME
    if ours == theirs[::-1]:
        return Relation.REVERSED
    return Relation.ONE if set(ours) & set(theirs) else Relation.NONE


def _is_of(source: Model, target: Model, pair: MeasuredPair) -> bool:
    return (pair.source.name, pair.target.name) == (source.name, target.name)


def _most_similar(source: Model, target: Model, others: Sequence[MeasuredPair]) -> tuple[Evidence, ...]:
    evidence = [Evidence(each, relation(source, target, each), similarity(source, target, each)) for each in others]
    evidence.sort(key=lambda each: (-each.similarity, str(each.pair)))
    return tuple(evidence[:MOST_PAIRS])


def _predict(evidence: Sequence[Evidence]) -> tuple[float, float]:
    """Return the middle and half the width of the predictive interval."""
    from scipy.special import stdtrit  # half a second to import, which no other page needs

    quantile = (1 + COVERAGE) / 2
    prior = (PRIOR_HALF_WIDTH / float(stdtrit(PRIOR_PAIRS, quantile))) ** 2
    if not evidence:
        return PRIOR_MEAN, PRIOR_HALF_WIDTH
    figures = np.array([each.pair.retention.value for each in evidence]) - PRIOR_MEAN
    towards = np.array([each.similarity for each in evidence])
    weights = np.linalg.solve(_correlations([each.pair for each in evidence], prior), np.stack([towards, figures], 1))
    misfit, left = float(figures @ weights[:, 1]), 1 - float(towards @ weights[:, 0])
    degrees = PRIOR_PAIRS + len(evidence)
    variance = (PRIOR_PAIRS * prior + misfit) / degrees * left
    half = float(stdtrit(degrees, quantile)) * math.sqrt(variance)
    return PRIOR_MEAN + float(figures @ weights[:, 0]), half


def _correlations(pairs: Sequence[MeasuredPair], prior: float) -> np.ndarray:
    """Return the correlations `[pairs, pairs]` of measured figures, each one's sampling error on the diagonal."""
    matrix = np.array([[similarity(one.source, one.target, other) for other in pairs] for one in pairs])
    errors = np.array([(each.retention.high - each.retention.low) / 2 / NORMAL_95 for each in pairs])
    np.fill_diagonal(matrix, 1 + errors**2 / prior)
    return matrix


def _doublings(one: Model, other: Model) -> float:
    """Return how many times one cache's width must be doubled to reach the other's; infinite where one is unknown."""
    if one.kv_width is None or other.kv_width is None:
        return math.inf
    return abs(math.log2(one.kv_width / other.kv_width))


def _known(pairs: int, *, width: float) -> Known:
    if not pairs:
        return Known.NOTHING
    if width >= 0.5 or pairs < FEW_PAIRS:
        return Known.ALMOST_NOTHING
    return Known.LITTLE if width >= 0.25 else Known.SOMETHING


def _sentence(known: Known, evidence: Sequence[Evidence], *, low: float, high: float) -> str:
    if known is Known.NOTHING:
        return "Nothing is known: no other pair of models was measured here, so any retention from 0 to 1 is possible."
    counts = [(each, sum(item.relation is each for item in evidence)) for each in Relation]
    kinds = ", ".join(f"{count} of {_of(each)}" for each, count in counts if count)
    noun = "pair" if len(evidence) == 1 else "pairs"
    return (
        f"{known.capitalize()} is known: this estimate rests on {len(evidence)} measured {noun} ({kinds}), and 95 % of "
        f"pairs like this one are expected between {low:.2f} and {high:.2f}."
    )


def _instead(own: MeasuredPair | None) -> str:
    if own is None:
        return ""
    figure = own.retention
    return (
        f" This very pair was measured: {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]. Use that figure; the "
        "estimate does not rest on it."
    )


def _of(relation: Relation) -> str:
    return {
        Relation.SAME: "the same families",
        Relation.REVERSED: "the same families in the other direction",
        Relation.ONE: "one of the families",
        Relation.NONE: "other families",
    }[relation]
