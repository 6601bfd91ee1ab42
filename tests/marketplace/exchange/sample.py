"""A listing whose W-Matrix really maps SmolLM2's geometry to Gemma's, with numbers from a generator."""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from kvcache.server.queries import get_adapter
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.w_matrix import WMatrix
from marketplace.listings.commands import certify_version, create_listing
from tests.kvcache.exchange import sample
from tests.marketplace.sample import AT, METADATA, SOURCE, TARGET, listing_created, publish

UNIFIED = 4


def certified_listing(*, at: datetime = AT, certify: bool = True, quality: Any = None, **fields: Any) -> str:
    """Publish version 1.0.0, certified, and return the listing's id; `fields` replace those of the W-Matrix."""
    matrix = w_matrix(**fields)
    file = io.BytesIO()
    matrix.write(file)
    created = listing_created()
    create_listing(created, metadata=METADATA)
    publish(created.listing_id, quality=quality, content=file.getvalue(), unified_dimension=UNIFIED)
    if certify:
        certify_version(created.listing_id, version="1.0.0", at=at, metadata=METADATA)
    return created.listing_id


def w_matrix(*, more: Mapping[str, Any] | None = None, **fields: Any) -> WMatrix:
    """The W-Matrix, with `more` tensors."""
    source, target = (get_adapter(name).geometry for name in (SOURCE, TARGET))
    assert source is not None
    assert target is not None
    generator = np.random.default_rng(0)
    arrays = {
        "encoder": generator.normal(size=(source.width, UNIFIED)).astype("f4") / source.width**0.5,
        "decoder": generator.normal(size=(UNIFIED, target.width)).astype("f4"),
        "latent_scale": np.ones(UNIFIED, "f4"),
        **(more or {}),
    }
    return sample.w_matrix(source, target, models=(SOURCE, TARGET), arrays=arrays, **fields)


def memory(tokens: int = 20, **known: Any) -> KVSnapshot:
    """SmolLM2's memory of so many tokens after BOS."""
    geometry = get_adapter(SOURCE).geometry
    assert geometry is not None
    return sample.cache(tokens, geometry, **{"model": SOURCE} | known)
