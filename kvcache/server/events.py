"""Events of codec profiles. One stream per profile: `codec-profile/<hex digest>`."""

from dataclasses import dataclass

from latentmas.events.types import event
from latentmas.protocol.quality import Basis, Corpus


@dataclass(frozen=True, slots=True)
class PublishedPoint:
    """What one step of the quantiser costs and saves, a mean over the held-out documents of the curve's corpus."""

    step: float
    ratio: float  # float16 bytes of a snapshot over bytes of its file, without the profile
    kl: float  # nats per scored token, against the full cache
    top1: float  # share of scored tokens whose most likely next token stays the same


@event("codec_profile.published")
@dataclass(frozen=True, slots=True)
class CodecProfilePublished:
    """A codec profile was calibrated, measured and stored."""

    digest: str  # sha256:<hex> of the file
    size: int  # bytes
    model: str
    weights: str  # sha256:<hex> of the weights it was calibrated on
    version: str
    width: int  # numbers in one token's vector
    corpus: Corpus  # what it was calibrated on
    basis: Basis  # functional where the curve's KL comes from running the model
    measured_on: Corpus | None = None  # the documents of the curve, never those of the calibration
    curve: tuple[PublishedPoint, ...] = ()
