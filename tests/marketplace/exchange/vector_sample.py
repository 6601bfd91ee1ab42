"""A listing whose W-Matrix really maps vectors of one width into another, with numbers from a generator."""

import io
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from latentmas.protocol.quality import Basis, Interval, Quality, Retrieval
from latentmas.protocol.w_matrix import Method, QualityMetrics, Space, TokenAlignment, WMatrix, WMatrixBuilder
from marketplace.listings.aggregate import listing_id_for
from marketplace.listings.commands import certify_version, create_listing
from tests.marketplace.sample import AT, METADATA, SOURCE, TARGET, functional, listing_created, publish

WIDTHS = (6, 4)
UNIFIED = 3


def retrieving(top1: float = 0.6, *, spread: float = 0.05, candidates: int = 200) -> Quality:
    """Figures of vectors; certified where `top1` is well above chance."""
    found = Retrieval(
        top1=Interval(top1, top1 - spread, top1 + spread),
        top5=Interval(min(1.0, top1 + 0.2), top1, 1.0),
        random_w_top1=Interval(0.005, 0.0, 0.01),
        candidates=candidates,
        chance=1 / candidates,
    )
    return replace(functional(), epsilon=1 - top1, confidence=top1 - spread, retention=None, retrieval=found)


def w_matrix(widths: tuple[int, int] = WIDTHS) -> WMatrix:
    generator = np.random.default_rng(0)
    source, target = widths
    return (
        WMatrixBuilder()
        .set_version("1.0.0")
        .set_models(SOURCE, TARGET, space=Space.EMBEDDING)
        .set_method(Method.LEARNED, token_alignment=TokenAlignment.SAME_PASSAGE)
        .set_weights(
            generator.normal(size=(source, UNIFIED)).astype("f4"), generator.normal(size=(UNIFIED, target)).astype("f4")
        )
        .set_arrays(
            source_mean=generator.normal(size=source).astype("f4"),
            source_scale=np.full(source, 2, "f4"),
            target_mean=generator.normal(size=target).astype("f4"),
            target_scale=np.full(target, 3, "f4"),
        )
        .set_quality(QualityMetrics(Basis.FUNCTIONAL, 0.6, 0.3, 30))
        .build()
    )


def mapped(vectors: Any) -> Any:
    """Return what the sample's W-Matrix makes of vectors, by the formula."""
    arrays = w_matrix().arrays
    standardised = (np.asarray(vectors, "f4") - arrays["source_mean"]) / arrays["source_scale"]
    return standardised @ arrays["encoder"] @ arrays["decoder"] * arrays["target_scale"] + arrays["target_mean"]


def vector_listing(
    *,
    quality: Quality | None = None,
    certify: bool = True,
    at: datetime = AT,
    seller: str = "agent:test",
    **changes: Any,
) -> str:
    """Publish version 1.0.0 and return the listing's id; `changes` replace fields of the version."""
    file = io.BytesIO()
    w_matrix().write(file)
    listing_id = listing_id_for(
        source=SOURCE, target=TARGET, seller=seller, basis=Basis.FUNCTIONAL, space=Space.EMBEDDING
    )
    create_listing(listing_created(listing_id=listing_id, space=Space.EMBEDDING, seller=seller), metadata=METADATA)
    fields = {
        "source_dimension": WIDTHS[0],
        "unified_dimension": UNIFIED,
        "target_dimension": WIDTHS[1],
        "space": Space.EMBEDDING,
        **changes,
    }
    publish(listing_id, quality=quality or retrieving(), content=file.getvalue(), **fields)
    if certify:
        certify_version(listing_id, version="1.0.0", at=at, metadata=METADATA)
    return listing_id
