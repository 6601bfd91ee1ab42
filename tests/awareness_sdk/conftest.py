"""The client against a running server that knows a few models."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from awareness_sdk import AwarenessClient
from latentmas.rest.scopes import KV_CACHE_COMPUTE

MODELS = ("smollm2-135m", "gemma-3-270m", "gpt-4", "llama-3-8b", "claude-3-opus")


@pytest.fixture
def server(live_server, own_files: None, load_models: Callable[..., None]) -> str:
    load_models(*MODELS)
    return live_server.url


@pytest.fixture
def sdk_with(server: str, token_with: Callable[..., str]) -> Iterator[Callable[..., AwarenessClient]]:
    """Opens a client with a token of Alice's with the given scopes."""
    with ExitStack() as opened:
        yield lambda *scopes: opened.enter_context(AwarenessClient(api_key=token_with(*scopes), base_url=server))


@pytest.fixture
def client(sdk_with: Callable[..., AwarenessClient]) -> AwarenessClient:
    return sdk_with(KV_CACHE_COMPUTE)
