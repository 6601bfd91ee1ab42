"""Events of the factory. One stream per calibration pack, `pack/<hex digest>`, and per run, `factory-run/<job>`."""

from dataclasses import dataclass

from latentmas.events.types import Payload, event, upcaster
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Space


@event("pack.recorded", schema=2)
@dataclass(frozen=True, slots=True)
class PackRecorded:
    """A calibration pack was captured here or contributed, and stored."""

    digest: str  # sha256:<hex> of the file
    size: int  # bytes
    model: str
    weights: str
    corpus: str
    corpus_digest: str
    calibration_tokens: int  # the budget it was captured with; of a contributed pack, the tokens that it holds
    documents: int
    width: int
    space: Space = Space.KV_CACHE
    contributor: str | None = None  # who sent it, as an opaque name; None: captured here


@event("pack.refused")
@dataclass(frozen=True, slots=True)
class PackRefused:
    """A contributed pack is not what its model makes of its corpus: a spot-check found it, and it is not used again."""

    digest: str  # of the file, as in PackRecorded
    field: str  # of the pack: "bos", "rows", "spans", "splits", "documents" or "geometry"
    document: str | None  # hex SHA-256 of the document that gave it away; None: it was no document
    reason: str


@dataclass(frozen=True, slots=True)
class MadePair:
    """A pair that a run of the factory has made, or found made."""

    source: str
    target: str
    basis: Basis
    version: str
    tier: str  # of its certificate; "-" where simulated, "refused" where it was refused
    was_ready: bool


@dataclass(frozen=True, slots=True)
class UnmadePair:
    """A pair that a run of the factory has not made, and why."""

    source: str
    target: str
    code: str
    reason: str


@event("run.finished")
@dataclass(frozen=True, slots=True)
class FactoryRunFinished:
    """A run of the factory has gone through its plan."""

    made: list[MadePair]
    not_made: list[UnmadePair]


@upcaster("pack.recorded", from_schema=1)
def _captured_here(payload: Payload) -> Payload:
    """Every pack of the first schema held KV-caches and was captured by this server."""
    return {**payload, "space": Space.KV_CACHE.value, "contributor": None}
