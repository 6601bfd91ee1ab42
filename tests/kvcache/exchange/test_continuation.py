"""A model continues from a memory that went through the identity as it continues from its own cache."""

import numpy as np
import pytest

from awareness_sdk.transformers_bridge import cache_of
from kvcache.exchange.exchange import exchange
from kvcache.exchange.placement import TargetTokens
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.w_matrix import WMatrix
from tests.kvcache.exchange.sample import ANY, rows_in, w_matrix

torch = pytest.importorskip("torch")

from tests.awareness_sdk import test_transformers_bridge as bridge  # noqa: E402 - it needs torch

network, ids = bridge.network, bridge.ids  # fixtures: tiny Llama, Gemma and Mistral models


def identity(snapshot: KVSnapshot) -> WMatrix:
    """The W-Matrix that maps the model to itself under another name, with its own first entry as the sink."""
    geometry, bos = snapshot.frame.geometry, rows_in(snapshot)[0]
    return w_matrix(
        geometry, geometry, models=("tiny", "twin"), arrays={"source_bos": bos, "target_bos": bos}, source_weights=None
    )


def test_it_continues_as_from_its_own_cache(network, ids) -> None:
    snapshot = bridge.taken(network, ids, cropped=False)
    aligned = exchange(snapshot, identity(snapshot), policy=ANY).snapshot
    own = bridge.continued(network, bridge.prefilled(network, ids, cropped=False), ids)
    ours = bridge.continued(network, cache_of(aligned, config=network.config), ids)
    np.testing.assert_allclose(ours, own, atol=2e-3)


def test_it_continues_in_span_mode_too(network, ids) -> None:
    snapshot = bridge.taken(network, ids, cropped=False)
    spans = np.array([(0, 0)] + [(i, i + 1) for i in range(bridge.CONTEXT - 1)])
    aligned = exchange(
        snapshot, identity(snapshot), target=TargetTokens(spans, source_spans=spans), policy=ANY
    ).snapshot
    own = bridge.continued(network, bridge.prefilled(network, ids, cropped=False), ids)
    ours = bridge.continued(network, cache_of(aligned, config=network.config), ids)
    np.testing.assert_allclose(ours, own, atol=2e-3)


def test_tokens_that_a_selection_dropped_are_masked(network, ids) -> None:
    snapshot = bridge.taken(network, ids, cropped=False)
    aligned = exchange(snapshot.select(bridge.KEPT), identity(snapshot), policy=ANY).snapshot
    ours = bridge.continued(network, cache_of(aligned, config=network.config), ids)
    np.testing.assert_allclose(ours, bridge.without(network, ids, bridge.KEPT), atol=2e-3)
