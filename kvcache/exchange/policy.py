"""The decision about a memory, with its reason: apply the W-Matrix, let the target read the text, or unsupported."""

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from kvcache.exchange.quality import AlignmentQuality, Evidence
from latentmas.protocol.errors import InvalidInput, QualityBelowThreshold
from latentmas.protocol.w_matrix import WMatrixDocument

GENERATE = "POST /api/latentmas/w-matrix/generate"
CORRECT = "Give the target's tokens with their first layer (target_spans and target_first_layer)"


class Decision(StrEnum):
    """What became of a memory; the last two are the fact `decision` of the error that is raised."""

    APPLIED = "applied"
    FALLBACK_REPREFILL = "fallback_reprefill"  # let the target read the text
    UNSUPPORTED = "unsupported"  # no W-Matrix could do it with what was given


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The receiver's requirements. Raises InvalidInput for a minimum outside [0, 1].

    `minimum_retention` is compared with the measured retention, `minimum_confidence` with the lower end of its 95 %
    interval; a figure that was not measured meets neither. `allow_partial` takes the tokens that every source layer
    holds where sliding windows have dropped older ones.
    """

    minimum_retention: float | None = None
    minimum_confidence: float | None = None
    require_certificate: bool = True
    require_inside: bool = True  # of the distribution that was calibrated, where the W-Matrix states it
    allow_partial: bool = False

    def __post_init__(self) -> None:
        for name in ("minimum_retention", "minimum_confidence"):
            least = getattr(self, name)
            if least is not None and not (math.isfinite(least) and 0 <= least <= 1):
                raise InvalidInput(f"{name} is {least}; it must lie between 0 and 1", field=name)


def require_acceptable(
    document: WMatrixDocument, quality: AlignmentQuality, *, evidence: Evidence, policy: Policy, plain: bool = False
) -> None:
    """Raise QualityBelowThreshold where certificate or figures do not meet the policy.

    `plain`: the W-Matrix has a correction, and the figures are those without it.
    """
    if policy.require_certificate and (reason := _uncertified(evidence)):
        pair = f"source_model={document.source_model}&target_model={document.target_model}"
        raise fallback(
            document,
            quality,
            reason=reason,
            resolution=f"Use a certified version: GET /api/w-matrices/best?{pair}, or {_reread(document)}; "
            "require_certificate=false applies it all the same.",
        )
    for name, figure, what in (
        ("minimum_retention", quality.retention, "retention"),
        ("minimum_confidence", quality.confidence, "the lower end of the retention's interval"),
    ):
        least = getattr(policy, name)
        if least is not None and (figure is None or figure < least):
            came = "was not measured" if figure is None else f"is {figure:.3f}"
            without = " without the W-Matrix's correction" if plain else ""
            instead = CORRECT if plain else f"Try a different method: {GENERATE}"
            raise fallback(
                document,
                quality,
                reason=f"{what}{without} {came}; {name} asks for {least:g}",
                resolution=f"{instead}, or {_reread(document)}, or lower {name}.",
            )


def require_inside(document: WMatrixDocument, quality: AlignmentQuality, *, policy: Policy) -> None:
    """Raise QualityBelowThreshold for a snapshot outside the calibrated distribution, where the policy forbids it."""
    if quality.inside is not False or not policy.require_inside:
        return
    bounds = document.distribution
    assert bounds is not None  # or it would not have been judged
    raise fallback(
        document,
        quality,
        reason=f"the snapshot lies outside the calibrated distribution: its distance is {quality.distance:.3g}, the "
        f"{bounds.documents} documents of calibration lie between {bounds.low:.3g} and {bounds.high:.3g}",
        resolution=f"{_reread(document).capitalize()}, or fit a W-Matrix on text of this kind: {GENERATE} with packs "
        "of such a corpus; require_inside=false applies it all the same.",
    )


def fallback(
    document: WMatrixDocument, quality: AlignmentQuality, *, reason: str, resolution: str
) -> QualityBelowThreshold:
    """Return the error that tells a router to let the target read the text."""
    return QualityBelowThreshold(
        f"the memory was not handed over: {reason}",
        resolution=resolution,
        decision=Decision.FALLBACK_REPREFILL.value,
        reason=reason,
        source_model=document.source_model,
        target_model=document.target_model,
        quality=quality_facts(quality),
    )


def quality_facts(quality: AlignmentQuality) -> dict[str, Any]:
    """Return the figures as plain data."""
    return {**asdict(quality), "basis": quality.basis.value}


def _uncertified(evidence: Evidence) -> str | None:
    if evidence.certificate is None:
        because = f": {'; '.join(evidence.refusals)}" if evidence.refusals else ""
        return f"the W-Matrix carries no certificate{because}"
    if evidence.certificate.expires_at <= evidence.at:
        return f"the certificate of the W-Matrix expired on {evidence.certificate.expires_at:%Y-%m-%d}"
    return None


def _reread(document: WMatrixDocument) -> str:
    return f"let {document.target_model} read the text itself"
