"""The decisions about rotations and attempts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import NAMESPACE_URL, uuid5

from latentmas.events.commands import Aggregate
from latentmas.events.types import Recorded
from latentmas.protocol.errors import Conflict
from marketplace.certification.errors import AttemptsSpent
from marketplace.certification.events import CertificationAttempted, RotationOpened, RotationPublished

ATTEMPTS_ALLOWED = 3  # of an account at a pair, in a rotation
NAMESPACE = uuid5(NAMESPACE_URL, "https://latentmas.org/certification-attempts")
ALL = "rotations"  # the one stream of its kind


@dataclass(frozen=True, slots=True)
class Rotations:
    """The newest rotation, 0 before the first, and whether its texts are still private."""

    newest: int = 0
    is_private: bool = False


def _rotated(state: Rotations, recorded: Recorded) -> Rotations:
    match recorded.data:
        case RotationOpened(rotation=number):
            return Rotations(number, is_private=True)
        case RotationPublished():
            return replace(state, is_private=False)
    return state


def _attempted(state: tuple[CertificationAttempted, ...], recorded: Recorded) -> tuple[CertificationAttempted, ...]:
    return (*state, recorded.data)


ROTATIONS = Aggregate("private-cells", Rotations(), _rotated)
ATTEMPTS: Aggregate[tuple[CertificationAttempted, ...]] = Aggregate("certification-attempts", (), _attempted)


def attempts_id(*, rotation: int, source: str, target: str, account: str) -> str:
    """Return the name of the stream that counts an account's attempts at a pair."""
    return str(uuid5(NAMESPACE, "\n".join((str(rotation), source, target, account))))


def decide_open(state: Rotations) -> Sequence[object]:
    """Open the next rotation; none where one is open."""
    return () if state.is_private else (RotationOpened(state.newest + 1),)


def decide_publish(state: Rotations, published: RotationPublished) -> Sequence[object]:
    """End the open rotation. Raises Conflict for any other."""
    if not state.is_private or published.rotation != state.newest:
        raise Conflict(f"rotation {published.rotation} is not the open one")
    return (published,)


def decide_attempt(state: tuple[CertificationAttempted, ...], attempted: CertificationAttempted) -> Sequence[object]:
    """Count an attempt, once for each job. Raises AttemptsSpent."""
    if any(each.job == attempted.job for each in state):
        return ()
    if len(state) >= ATTEMPTS_ALLOWED:
        raise AttemptsSpent(
            f"{ATTEMPTS_ALLOWED} files of this account between these two models have been measured in rotation "
            f"{attempted.rotation}, the limit",
            rotation=attempted.rotation,
            attempts=[f"{each.listing_id}/{each.version}" for each in state],
        )
    return (attempted,)
