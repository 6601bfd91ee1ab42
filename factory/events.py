"""What happens in the factory. One stream per calibration pack: `pack/<hex digest>`."""

from dataclasses import dataclass

from latentmas.events.types import event


@event("pack.recorded")
@dataclass(frozen=True, slots=True)
class PackRecorded:
    """A calibration pack was captured and stored."""

    digest: str  # sha256:<hex> of the file
    size: int  # bytes
    model: str
    weights: str
    corpus: str
    corpus_digest: str
    calibration_tokens: int  # the budget it was captured with
    documents: int
    width: int
