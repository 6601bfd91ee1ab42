"""Every marketplace test has files of its own; a registry of a few models, and two listings to look at."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from latentmas.rest.scopes import KV_CACHE_COMPUTE, MEMORIES_READ, MEMORIES_WRITE
from tests.marketplace import sample

MODELS = ("smollm2-135m", "gemma-3-270m", "gpt-4", "llama-3-8b", "qwen-7b")


@pytest.fixture(autouse=True)
def _own_files(own_files: None) -> None:
    pass


@pytest.fixture
def registry(load_models: Callable[..., None]) -> None:
    load_models(*MODELS)


@pytest.fixture
def certified(registry: None) -> str:
    """A listing whose certificate is valid today."""
    return sample.make_listing(quality=sample.functional(0.97), at=timezone.now())


@pytest.fixture
def simulated(registry: None) -> str:
    return sample.make_listing("gpt-4", "llama-3-8b", quality=sample.unmeasured())


@pytest.fixture
def api(registry: None, client_with: Callable[..., Client]) -> Client:
    """A client with a token that may compute and keep memories."""
    return client_with(KV_CACHE_COMPUTE, MEMORIES_READ, MEMORIES_WRITE)
