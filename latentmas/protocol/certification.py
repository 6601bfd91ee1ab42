"""Certification tiers, quality grades and the rule by which a certificate is refused (specification 2.2 and 3.3).

A certificate of KV-caches has a scope that nobody chooses. Every register of its evaluation suite counts; a register
that fails at one context length ends the scope below that length and stands on the certificate by name. The tier
follows from the worst cell within the scope, by the lower end of its interval.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.expected import retention_in
from latentmas.protocol.quality import (
    MEASURED,
    Basis,
    Cell,
    Interval,
    Quality,
    Retention,
    Retrieval,
    SuiteFigures,
    TokenMode,
)


class Tier(StrEnum):
    PLATINUM = "platinum"
    GOLD = "gold"
    SILVER = "silver"
    BRONZE = "bronze"


class Grade(StrEnum):
    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


TIER_CEILINGS = ((Tier.PLATINUM, 0.01), (Tier.GOLD, 0.05), (Tier.SILVER, 0.10))
GRADE_CEILINGS = ((Grade.EXCELLENT, 0.02), (Grade.GOOD, 0.05), (Grade.FAIR, 0.10))
CERTIFIED_MODES = (TokenMode.TOKENS_KNOWN, TokenMode.READ_IN_PLACE)  # the first that passes is certified
RANK = {Tier.BRONZE: 0, Tier.SILVER: 1, Tier.GOLD: 2, Tier.PLATINUM: 3}
TIER_DESCRIPTIONS = {
    Tier.PLATINUM: "Exceptional alignment: at most 1 % loss",
    Tier.GOLD: "Excellent alignment: at most 5 % loss",
    Tier.SILVER: "Good alignment: at most 10 % loss",
    Tier.BRONZE: "Acceptable alignment: above 10 % loss, yet better than its controls",
}

Bars = tuple[tuple[str, Interval | None], ...]  # what reaches so far, and how far


@dataclass(frozen=True, slots=True)
class LengthTier:
    """What holds for contexts of up to `length` tokens: the tier of the worst register at that length."""

    length: int
    tier: Tier
    low: float  # lower end of the worst register's retention
    register: str  # the worst one


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a certificate holds: the lengths at which every register of the suite passes, and what ends them."""

    suite: str
    mode: str  # a TokenMode
    lengths: tuple[LengthTier, ...]  # ascending
    failures: tuple[str, ...] = ()  # sentences that name register and length
    unmeasured: tuple[str, ...] = ()  # registers of the suite with too few texts of a length within the scope

    @property
    def longest(self) -> int:
        """The longest context in tokens of the target that the certificate covers."""
        return self.lengths[-1].length

    @property
    def worst(self) -> LengthTier:
        """The length whose worst register decides the tier."""
        return min(self.lengths, key=lambda each: each.low)

    @property
    def epsilon(self) -> float:
        """The alignment loss that the tier follows from: that of the worst cell, by the lower end of its interval."""
        return _loss(self.worst.low)

    def covering(self, tokens: int) -> LengthTier | None:
        """Return what holds for contexts of so many tokens, or None beyond the scope."""
        return next((each for each in self.lengths if each.length >= tokens), None)


@dataclass(frozen=True, slots=True)
class Certification:
    """A certificate; `scope` is None where the figures are not of a suite (vectors)."""

    tier: Tier
    grade: Grade
    epsilon: float
    issued_at: datetime
    expires_at: datetime
    scope: Scope | None = None


def tier_for(epsilon: float) -> Tier:
    """Return the tier of an alignment loss; whether a certificate may be issued at all is decided by `refusals`."""
    return next((tier for tier, ceiling in TIER_CEILINGS if epsilon <= ceiling), Tier.BRONZE)


def grade_for(epsilon: float) -> Grade:
    return next((grade for grade, ceiling in GRADE_CEILINGS if epsilon <= ceiling), Grade.POOR)


def certify(quality: Quality, *, at: datetime) -> Certification:
    """Return the certificate a measurement earns, valid for one year. Raises QualityBelowThreshold with the reasons."""
    if reasons := refusals(quality):
        raise QualityBelowThreshold("; ".join(reasons), reasons=list(reasons))
    scope = None if quality.suite is None else earned_scope(quality.suite)
    epsilon = quality.epsilon if scope is None else scope.epsilon
    return Certification(
        tier=tier_for(epsilon),
        grade=grade_for(epsilon),
        epsilon=epsilon,
        issued_at=at,
        expires_at=_a_year_after(at),
        scope=scope,
    )


def scope_of(suite: SuiteFigures, mode: TokenMode = TokenMode.TOKENS_KNOWN) -> Scope:
    """Return the lengths at which every register passes in a mode; no length, where one fails at the shortest."""
    lengths: list[LengthTier] = []
    failures: list[str] = []
    unmeasured: list[str] = []
    registers = sorted({cell.register for cell in suite.cells if cell.counts})
    for length in suite.lengths:
        cells = suite.at(length)
        if failures := [reason for cell in cells for reason in failures_of(cell, mode)]:
            break
        judged = {cell.register: kept.low for cell in cells if (kept := retention_in(cell, mode)) is not None}
        if judged:
            register = min(judged, key=judged.__getitem__)
            lengths.append(LengthTier(length, tier_for(_loss(judged[register])), judged[register], register))
            unmeasured += [f"{each} at {length} tokens" for each in registers if each not in judged]
    return Scope(suite.name, mode.value, tuple(lengths), tuple(failures), tuple(unmeasured))


def earned_scope(suite: SuiteFigures) -> Scope:
    """Return the scope in the first mode in which there is one; without any, that of memories without reading."""
    scopes = [scope_of(suite, mode) for mode in CERTIFIED_MODES]
    return next((scope for scope in scopes if scope.lengths), scopes[0])


def refusals(quality: Quality) -> tuple[str, ...]:
    """Return why the transfer contract forbids a certificate, in sentences; empty where one may be issued."""
    if quality.basis not in MEASURED:
        return (f"figures on the basis {quality.basis.value!r} are never certified; only measured ones are",)
    if quality.basis is Basis.ACTIVATION:
        return ("the target model was not run, so the memory was never compared with its controls",)
    if quality.retrieval is not None:
        return tuple(_below_controls(quality.retrieval))
    if quality.suite is not None:
        scopes = [scope_of(quality.suite, mode) for mode in CERTIFIED_MODES]
        if any(scope.lengths for scope in scopes):
            return ()
        failures = tuple(failure for scope in scopes for failure in scope.failures)
        return failures or (f"no cell of {quality.suite.name} was measured",)
    if quality.retention is None:
        return ("the retention is missing",)
    return tuple(_below_bars(quality.retention))


def failures_of(cell: Cell, mode: TokenMode = TokenMode.TOKENS_KNOWN) -> list[str]:
    """Return which bars a cell does not clear in a mode, in sentences; none where it was not measured or never counts.

    At least one control must have been measured. The map of the tokens alone has read the same text and fails on the
    same documents, so what the memory adds to it is judged document by document.
    """
    kept = retention_in(cell, mode)
    if kept is None or not cell.counts:
        return []
    where = f"{cell.register} at {cell.length} tokens"
    in_place = mode is TokenMode.READ_IN_PLACE
    controls, texts = _bars_in_place(cell) if in_place else _bars(cell)
    where += ", an eighth of them read in place" if in_place else ""
    bars = [(what, interval.high) for what, interval in controls if interval is not None]
    if not bars:
        return [f"{where}: no control was measured"]
    bars += [(what, interval.value) for what, interval in texts if interval is not None]
    reasons = _not_above(kept, bars)
    if not in_place and cell.beyond_tokens is not None and not cell.beyond_tokens.low > 0:
        reasons.append(
            f"the memory may add as little as {cell.beyond_tokens.low:.3f} to what a map of the target's tokens alone "
            "keeps"
        )
    return [f"{where}: {reason}" for reason in reasons]


def _bars(cell: Cell) -> tuple[Bars, Bars]:
    """Return the controls, whose upper ends count, and the texts, whose values do."""
    controls = (
        ("the wrong document's memory reaches up to", cell.wrong_document),
        ("the target's own tokens with a stranger's memory reach up to", cell.own_tokens),
        ("a map of the target's tokens alone reaches up to", None if cell.beyond_tokens else cell.tokens_only),
        ("a random W reaches up to", cell.random_w),
    )
    return controls, (("the last eighth of the context as text reaches", cell.text_eighth),)


def _bars_in_place(cell: Cell) -> tuple[Bars, Bars]:
    """Return the same for memories of which the target reads a share itself."""
    controls = (("the same tokens read in a stranger's memory reach up to", cell.in_place_stranger),)
    texts = (
        ("the same tokens read after nothing reach", cell.in_place_alone),
        ("the last eighth of the context as text reaches", cell.text_eighth),
    )
    return controls, texts


def _not_above(aligned: Interval, bars: list[tuple[str, float]]) -> list[str]:
    floor = aligned.low
    return [f"retention may be as low as {floor:.3f}, while {what} {bar:.3f}" for what, bar in bars if not floor > bar]


def _loss(retention: float) -> float:
    return min(max(1 - retention, 0.0), 1.0)


def _below_bars(retention: Retention) -> list[str]:
    bars = [
        ("the wrong document's memory reaches up to", retention.wrong_document.high),
        ("a random W reaches up to", retention.random_w.high),
        ("the last eighth of the context as text reaches", retention.text_eighth.value),
    ]
    return _not_above(retention.aligned, bars)


def _below_controls(retrieval: Retrieval) -> list[str]:
    floor = retrieval.top1.low
    bars = (
        ("a random W reaches up to", retrieval.random_w_top1.high),
        (f"guessing among {retrieval.candidates} candidates reaches", retrieval.chance),
    )
    return [f"top-1 may be as low as {floor:.3f}, while {what} {bar:.3f}" for what, bar in bars if not floor > bar]


def _a_year_after(moment: datetime) -> datetime:
    try:
        return moment.replace(year=moment.year + 1)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year + 1, day=28)
