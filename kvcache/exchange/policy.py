"""The decision about a memory, with its reason: apply the W-Matrix, let the target read the text, or unsupported."""

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from kvcache.exchange.quality import AlignmentQuality, Evidence, Use, forecast_for
from latentmas.protocol.errors import InvalidInput, QualityBelowThreshold
from latentmas.protocol.quality import TokenMode
from latentmas.protocol.w_matrix import WMatrixDocument

BEST = "GET /api/w-matrices/best"
GENERATE = "POST /api/latentmas/w-matrix/generate"
LEAST_EXPECTED = 0.66  # retention; `python -m benchmarks.alignment.gate` shows what it lets through and refuses
CORRECT = "Give the target's tokens with their first layer (target_spans and target_first_layer)"


class Decision(StrEnum):
    """What became of a memory; the last two are the fact `decision` of the error that is raised."""

    APPLIED = "applied"
    FALLBACK_REPREFILL = "fallback_reprefill"  # let the target read the text
    UNSUPPORTED = "unsupported"  # no W-Matrix could do it with what was given


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The receiver's requirements. Raises InvalidInput for a minimum outside [0, 1].

    `minimum_retention` is compared with the retention that is expected of this very memory, or with the measured one
    where the W-Matrix has no forecast; `minimum_confidence` with the lower end of the measured one's 95 % interval. A
    figure that is not known meets neither. `require_scope` refuses a context that is longer than its certificate
    covers, `require_inside` a memory outside the calibrated distribution, and one of which less than LEAST_EXPECTED is
    expected where no minimum is asked for. `allow_partial` takes the tokens that every source layer holds where
    sliding windows have dropped older ones.
    """

    minimum_retention: float | None = None
    minimum_confidence: float | None = None
    require_certificate: bool = True
    require_scope: bool = True
    require_inside: bool = True
    allow_partial: bool = False

    def __post_init__(self) -> None:
        for name in ("minimum_retention", "minimum_confidence"):
            least = getattr(self, name)
            if least is not None and not (math.isfinite(least) and 0 <= least <= 1):
                raise InvalidInput(f"{name} is {least}; it must lie between 0 and 1", field=name)


def require_acceptable(
    document: WMatrixDocument, quality: AlignmentQuality, *, evidence: Evidence, policy: Policy, use: Use
) -> None:
    """Raise QualityBelowThreshold where certificate, scope or figures do not meet the policy."""
    if policy.require_certificate and (reason := _uncertified(document, evidence, use)):
        raise fallback(
            document,
            quality,
            reason=reason,
            resolution=f"Use a certified version: {_best(document)}, or {_reread(document)}; "
            "require_certificate=false applies it all the same.",
        )
    if policy.require_scope and (longest := beyond_scope(evidence, use)) is not None:
        raise _too_long(document, quality, evidence=evidence, use=use, longest=longest)
    _require_minima(document, quality, policy=policy, use=use)


def beyond_scope(evidence: Evidence, use: Use) -> int | None:
    """Return the longest context that the certificate covers where this one is longer, else None."""
    scope = None if evidence.certificate is None else evidence.certificate.scope
    if scope is None or use.tokens is None or scope.covering(use.tokens) is not None:
        return None
    return scope.longest


def _require_minima(document: WMatrixDocument, quality: AlignmentQuality, *, policy: Policy, use: Use) -> None:
    measured = [("minimum_confidence", quality.confidence, "the lower end of the retention's interval")]
    if forecast_for(document, use) is None:
        measured.insert(0, ("minimum_retention", quality.retention, "retention"))
    for name, figure, what in measured:
        least = getattr(policy, name)
        if least is not None and (figure is None or figure < least):
            came = "was not measured" if figure is None else f"is {figure:.3f}"
            raise fallback(
                document,
                quality,
                reason=f"{what}{_how(quality, use)} {came}; {name} asks for {least:g}",
                resolution=f"{_instead(use)}, or {_reread(document)}, or lower {name}.",
            )


def _how(quality: AlignmentQuality, use: Use) -> str:
    """Return what the figure is of, where that is not plain from its name."""
    if use.mode is TokenMode.SOURCE_TOKENS:
        how = " without the target's tokens"
    else:
        how = " without the W-Matrix's correction" if use.plain else ""
    return how if quality.register is None else f"{how} of {quality.register} at {quality.length} tokens"


def _instead(use: Use) -> str:
    return CORRECT if use.plain or use.mode is TokenMode.SOURCE_TOKENS else f"Try a different method: {GENERATE}"


def _too_long(
    document: WMatrixDocument, quality: AlignmentQuality, *, evidence: Evidence, use: Use, longest: int
) -> QualityBelowThreshold:
    assert evidence.certificate is not None  # or it would cover anything
    scope = evidence.certificate.scope
    assert scope is not None
    why = f", since {scope.failures[0]}" if scope.failures else ""
    known = use.mode is not TokenMode.SOURCE_TOKENS
    whose = f"tokens of {document.target_model}" if known else "tokens"
    return fallback(
        document,
        quality,
        reason=f"the context has {use.tokens} {whose}; the certificate holds for at most {longest} on "
        f"{scope.suite}{why}",
        resolution=f"Hand over at most {longest} tokens, or {_reread(document)}, or look for a version that covers it: "
        f"{_best(document)}&context_tokens={use.tokens}; require_scope=false applies this one all the same.",
        field="target_spans" if known else "kv_cache",
        expected=longest,
        came=use.tokens,
    )


def require_likely(document: WMatrixDocument, quality: AlignmentQuality, *, policy: Policy, use: Use) -> None:
    """Raise QualityBelowThreshold for a snapshot outside of calibration, or of which too little is expected."""
    if quality.inside is False and policy.require_inside:
        raise _outside(document, quality)
    if forecast_for(document, use) is not None:
        _require_expected(document, quality, policy=policy)


def _require_expected(document: WMatrixDocument, quality: AlignmentQuality, *, policy: Policy) -> None:
    expected, least, asked = quality.expected_retention, policy.minimum_retention, "minimum_retention asks for"
    if least is None and policy.require_inside and expected is not None:
        least, asked = LEAST_EXPECTED, "the least that is taken is"
    if least is None or (expected is not None and expected.value >= least):
        return
    came = "is not known, since the memory has too few tokens"
    if expected is not None:
        came = f"is {expected.value:.2f} (95 % of such memories: {expected.low:.2f} to {expected.high:.2f})"
    raise fallback(
        document,
        quality,
        reason=f"the retention expected of this memory {came}; {asked} {least:g}",
        resolution=f"{_reread(document).capitalize()}; a lower minimum_retention, or none and require_inside=false, "
        "applies it all the same.",
    )


def _outside(document: WMatrixDocument, quality: AlignmentQuality) -> QualityBelowThreshold:
    bounds = document.distribution
    assert bounds is not None  # or it would not have been judged
    return fallback(
        document,
        quality,
        reason=f"the snapshot lies outside the calibrated distribution: its distance is {quality.distance:.3g}, the "
        f"{bounds.documents} documents of calibration lie between {bounds.low:.3g} and {bounds.high:.3g}",
        resolution=f"{_reread(document).capitalize()}, or fit a W-Matrix on text of this kind: {GENERATE} with packs "
        "of such a corpus; require_inside=false applies it all the same.",
    )


def fallback(
    document: WMatrixDocument, quality: AlignmentQuality, *, reason: str, resolution: str, **facts: Any
) -> QualityBelowThreshold:
    """Return the error that tells a router to let the target read the text, with further `facts`."""
    return QualityBelowThreshold(
        f"the memory was not handed over: {reason}",
        resolution=resolution,
        decision=Decision.FALLBACK_REPREFILL.value,
        reason=reason,
        source_model=document.source_model,
        target_model=document.target_model,
        quality=quality_facts(quality),
        **facts,
    )


def weights_finding(stated: str | None, measured: str | None) -> str | None:
    """Return a sentence where the receiver states its weights and the figures are of others, or of unknown ones."""
    if stated is None or stated == measured:
        return None
    if measured is None:
        return f"the receiver's weights {stated} were not compared: nothing says which the figures were measured with"
    return f"the receiver's weights {stated} are not those the figures were measured with, {measured}"


def quality_facts(quality: AlignmentQuality) -> dict[str, Any]:
    """Return the figures as plain data."""
    return {**asdict(quality), "basis": quality.basis.value, "mode": quality.mode.value}


def _uncertified(document: WMatrixDocument, evidence: Evidence, use: Use) -> str | None:
    scope = None if evidence.certificate is None else evidence.certificate.scope
    if scope is not None and scope.mode == TokenMode.READ_IN_PLACE and use.mode is not TokenMode.READ_IN_PLACE:
        return (
            f"the certificate holds where {document.target_model} reads an eighth of its tokens itself, in place: ask "
            "with the target's tokens and reread=0.125"
        )
    if evidence.certificate is None:
        because = f": {'; '.join(evidence.refusals)}" if evidence.refusals else ""
        return f"the W-Matrix carries no certificate{because}"
    if evidence.certificate.expires_at <= evidence.at:
        return f"the certificate of the W-Matrix expired on {evidence.certificate.expires_at:%Y-%m-%d}"
    return None


def _reread(document: WMatrixDocument) -> str:
    return f"let {document.target_model} read the text itself"


def _best(document: WMatrixDocument) -> str:
    return f"{BEST}?source_model={document.source_model}&target_model={document.target_model}"
