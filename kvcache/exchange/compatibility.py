"""Checks before a memory is mapped: the W-Matrix must be for these models, weights and geometries.

An error says what was expected and what came, and has the decision `unsupported` among its facts.
"""

from typing import Any

from kvcache.adapters import ModelAdapter
from kvcache.exchange.policy import GENERATE, Decision
from latentmas.protocol.errors import DimensionMismatch, InvalidInput, ModelNotSupported, WMatrixNotFound
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import SnapshotFrame
from latentmas.protocol.w_matrix import Space, WMatrixDocument

GEOMETRY = ("layers", "heads", "head_dim", "value_width", "rotary_dim", "thetas", "windows")
UNSUPPORTED = Decision.UNSUPPORTED.value


def require_unrotated(adapter: ModelAdapter, geometry: KVGeometry) -> None:
    """Raise ModelNotSupported for a model that rotates its keys in a way that the W-Matrix does not undo."""
    if adapter.rotation == "kept" and not geometry.rotary_dim:
        raise ModelNotSupported(
            f"the memory of {adapter.model} cannot be moved to other positions: {adapter.note}",
            resolution="Let the target model read the text itself: exchange needs keys without their rotation.",
            model=adapter.model,
            decision=UNSUPPORTED,
        )


def check_document(document: WMatrixDocument) -> tuple[KVGeometry, KVGeometry]:
    """Return the geometries of source and target.

    Raises InvalidInput, DimensionMismatch or ModelNotSupported for a W-Matrix that cannot map a KV-cache.
    """
    if document.space is not Space.KV_CACHE:
        raise InvalidInput(
            f"this W-Matrix maps {document.space.value} vectors; a KV-cache needs one whose space is "
            f"{Space.KV_CACHE.value!r}",
            field="w_matrix",
        )
    source, target = document.source_geometry, document.target_geometry
    if source is None or target is None:
        raise DimensionMismatch(
            f"this W-Matrix from {document.source_model} to {document.target_model} states no geometry, so no cache "
            f"can be built with it; its figures are {document.quality_metrics.basis.value}",
            resolution=f"Regenerate the W-Matrix for these models: {GENERATE}.",
            decision=UNSUPPORTED,
        )
    for model, geometry in ((document.source_model, source), (document.target_model, target)):
        if geometry.value_dim is not None and not geometry.rotary_dim:
            raise ModelNotSupported(
                f"{model} caches a latent and a rope key whose rotation cannot be undone",
                resolution="Let the target model read the text itself.",
                model=model,
                decision=UNSUPPORTED,
            )
    return source, target


def check_source(frame: SnapshotFrame, document: WMatrixDocument) -> None:
    """Raise WMatrixNotFound or DimensionMismatch where the W-Matrix is for another model, weights or geometry."""
    if frame.model not in (None, document.source_model):
        raise _other("model", expected=document.source_model, came=frame.model, document=document)
    if None not in (frame.weights, document.source_weights) and frame.weights != document.source_weights:
        raise _other("weights", expected=document.source_weights, came=frame.weights, document=document)
    wanted = document.source_geometry
    assert wanted is not None  # check_document saw it
    for name in GEOMETRY:
        expected, came = getattr(wanted, name), getattr(frame.geometry, name)
        if expected != came:
            raise DimensionMismatch(
                f"the snapshot's {name} is {came}; this W-Matrix takes {document.source_model} with {expected}",
                resolution="Give a snapshot of exactly this model, or regenerate the W-Matrix for these models: "
                f"{GENERATE}.",
                field=name,
                expected=expected,
                came=came,
                decision=UNSUPPORTED,
            )


def check_held(frame: SnapshotFrame, *, allow_partial: bool) -> int:
    """Return the index of the first token that every layer holds; above 0 it is a DimensionMismatch unless allowed."""
    first = max(frame.starts)
    if first and not allow_partial:
        raise DimensionMismatch(
            f"{first} of the {frame.tokens} tokens are missing in sliding-window layers of the snapshot; the W-Matrix "
            "maps a token's keys and values of all layers together",
            resolution="Capture the cache uncropped (a prefill that keeps every token in every layer) and hand it over "
            f"raw; allow_partial=true hands over the last {frame.tokens - first} tokens alone.",
            expected=frame.tokens,
            came=frame.tokens - first,
            decision=UNSUPPORTED,
        )
    return first


def _other(what: str, *, expected: Any, came: Any, document: WMatrixDocument) -> WMatrixNotFound:
    return WMatrixNotFound(
        f"this W-Matrix takes memories of {document.source_model} with the {what} {expected}; the snapshot's is {came}",
        resolution=f"Look for one of exactly this {what}: GET /api/w-matrices?target_model={document.target_model}; "
        f"make one: {GENERATE}; or let {document.target_model} read the text itself.",
        expected=expected,
        came=came,
        decision=UNSUPPORTED,
    )
