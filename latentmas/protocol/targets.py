"""The specification's own targets of quality (addendum, success metrics), beside what was measured."""

from dataclasses import dataclass

from latentmas.protocol.certification import earned_scope
from latentmas.protocol.expected import expected
from latentmas.protocol.quality import Quality, TokenMode


@dataclass(frozen=True, slots=True)
class TargetVerdict:
    """One target: its bound, what was measured (None: not measured), and whether that meets it."""

    name: str
    target: str  # such as "> 0.90"
    measured: float | None
    met: bool | None


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    bound: float
    above: bool  # whether the figure must lie above its bound, or below

    def judge(self, measured: float | None) -> TargetVerdict:
        """Return the verdict on a figure; the bound itself does not meet it."""
        met = None if measured is None else (measured > self.bound if self.above else measured < self.bound)
        return TargetVerdict(self.name, f"{'>' if self.above else '<'} {self.bound:.2f}", measured, met)


COSINE = Target("cosine similarity", 0.90, above=True)
DISTANCE = Target("euclidean distance", 0.15, above=False)
RETENTION = Target("information retention", 0.92, above=True)
CONFIDENCE = Target("confidence", 0.85, above=True)


def target_verdicts(quality: Quality) -> tuple[TargetVerdict, ...]:
    """Return for each of the specification's targets whether it is met.

    Retention is that of the target model where it was run, and confidence the lower end of its interval. With a suite
    both are the worst register's at the shortest length, in the mode that is certified, so that a target is met in
    every register or not at all.
    """
    found = None
    if quality.suite is not None:
        found = expected(quality.suite, None, mode=TokenMode(earned_scope(quality.suite).mode))
    if found is not None:
        retention: float | None = min(each.retention.value for each in found.registers)
        confidence: float | None = found.worst.retention.low
    else:
        retention = quality.information_retention if quality.retention is None else quality.retention.aligned.value
        confidence = quality.confidence
    return (
        COSINE.judge(quality.cosine_similarity),
        DISTANCE.judge(quality.euclidean_distance),
        RETENTION.judge(retention),
        CONFIDENCE.judge(confidence),
    )
