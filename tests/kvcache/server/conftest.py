"""A registry of a few models, a client that may compute, and a cache."""

from collections.abc import Callable

import numpy as np
import pytest
from django.test import Client

from kvcache.server.queries import get_adapter
from latentmas.protocol.snapshot import KVSnapshot, whole
from latentmas.rest.scopes import KV_CACHE_COMPUTE

MODELS = ("smollm2-135m", "gemma-3-270m", "gpt-4", "claude-3-opus", "llama-3-8b", "mistral-7b", "deepseek-v3")
TOKENS = 30  # of the cache


@pytest.fixture
def registry(load_models: Callable[..., None]) -> None:
    load_models(*MODELS)


@pytest.fixture
def api(registry: None, own_files: None, client_with: Callable[..., Client]) -> Client:
    return client_with(KV_CACHE_COMPUTE)


@pytest.fixture
def cache(registry: None) -> KVSnapshot:
    """A small piece of SmolLM2's cache, made up."""
    geometry = get_adapter("smollm2-135m").geometry
    assert geometry is not None
    rng = np.random.default_rng(1)
    shape = (geometry.layers, TOKENS, geometry.heads, geometry.head_dim)
    keys, values = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    return KVSnapshot(whole(geometry, TOKENS, model="smollm2-135m", weights="sha256:" + "a" * 64), keys, values)
