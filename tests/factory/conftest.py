"""A tiny model; the two packaged ones, loaded once a run; a registry, and clients with and without the scopes."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import Client

from factory.runners.model import RunningModel, load_model
from latentmas.rest.scopes import CALIBRATION_PACKS_WRITE, KV_CACHE_COMPUTE, W_MATRICES_GENERATE
from latentmas.runners.weights import find_weights
from tests.tiny import tiny_model

MODELS = ("gpt-4", "claude-3-opus", "smollm2-135m", "gemma-3-270m", "bert", "llama-3-8b", "all-minilm-l6-v2")


@pytest.fixture(scope="session")
def tiny() -> RunningModel:
    return tiny_model()


@pytest.fixture(scope="session")
def smollm2() -> RunningModel:
    """From a conversion that is kept in the cache folder."""
    return load_model(find_weights("smollm2-135m", cache=settings.CACHE_DIR))


@pytest.fixture(scope="session")
def gemma3() -> RunningModel:
    return load_model(find_weights("gemma-3-270m", cache=settings.CACHE_DIR))


@pytest.fixture(params=["smollm2", "gemma3"])
def model(request: pytest.FixtureRequest) -> RunningModel:
    running: RunningModel = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def registry(load_models: Callable[..., None]) -> None:
    load_models(*MODELS)


@pytest.fixture
def api(registry: None, own_files: None, client_with: Callable[..., Client]) -> Client:
    return client_with(CALIBRATION_PACKS_WRITE, W_MATRICES_GENERATE)


@pytest.fixture
def other(registry: None, own_files: None, client_with: Callable[..., Client]) -> Client:
    """A client whose token has neither scope."""
    return client_with(KV_CACHE_COMPUTE)
