"""The client must work where nothing but its own packages is installed, and say what a missing part needs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = """
import sys, awareness_sdk
print(",".join(sorted({"django", "rest_framework", "jax", "torch", "kvcache", "marketplace"} & set(sys.modules))))
"""
# What `pip install .` brings, with what these bring; whatever else is asked for is not there.
BARE = """
import sys
ALLOWED = {"awareness_sdk", "latentmas", "kvcache", "factory", "marketplace", "manage"}
ALLOWED |= {"httpx", "httpcore", "anyio", "certifi", "h11", "idna", "typing_extensions", "msgspec", "numpy"}

class Bare:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ALLOWED:
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Bare(each) for each in sys.meta_path]
sys.path.insert(0, sys.argv[1])
"""
TALK = """
import httpx
import numpy as np
from awareness_sdk import AwarenessClient, AwarenessError, transport
from latentmas.protocol.plain import plain_snapshot
from latentmas.protocol.snapshot import write_snapshot

CACHE = plain_snapshot(np.ones((9, 4)), np.zeros((9, 4)))

def answer(request):
    if request.url.path.endswith("/models"):
        return httpx.Response(200, json={"models": [{"name": "gpt-4"}]})
    if request.url.path.endswith("/align"):
        assert request.headers["content-type"] == "application/vnd.safetensors"
        return httpx.Response(200, content=write_snapshot(CACHE), headers={"LatentMAS-Result": '{"decision": "apply"}'})
    return httpx.Response(404, json={"code": "NOT_FOUND", "detail": "there is nothing"})

class Mocked(httpx.Client):
    def __init__(self, **options):
        super().__init__(**options, transport=httpx.MockTransport(answer))

transport.httpx.Client = Mocked
client = AwarenessClient("lmas_key", "http://testserver")
assert client.kv_cache.supported_models() == [{"name": "gpt-4"}]
aligned = client.align_kv_cache(CACHE, "gpt-4", "claude-3-opus")
assert aligned["decision"] == "apply" and aligned["aligned_kv_cache"].frame.tokens == 9
try:
    client.kv_cache.model_adapter("nobody")
except AwarenessError as error:
    assert error.code == "NOT_FOUND"
print("talked")
"""


def run(code: str) -> str:
    found = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def test_the_client_imports_neither_django_nor_jax() -> None:
    assert run(LOADED) == ""


def test_the_bare_client_talks_to_a_server() -> None:
    assert run(BARE + TALK) == "talked"


@pytest.mark.parametrize(
    ("module", "needs"),
    [
        ("awareness_sdk.transformers_bridge", "awareness_sdk.transformers_bridge needs what runs models"),
        ("awareness_sdk.latent_rollout", "awareness_sdk.transformers_bridge needs what runs models"),
        ("awareness_sdk.residuals", "kvcache.kernels needs the engine"),
        ("kvcache.compression.compressor", "kvcache.kernels needs the engine"),
        ("kvcache.coding.entropy", "kvcache.coding needs the engine"),
        ("kvcache.exchange.exchange", "kvcache.exchange.mapping needs the engine"),
        ("kvcache.server.apps", "kvcache.server needs the server"),
        ("marketplace.accounts.commands", "marketplace needs the server"),
    ],
)
def test_a_part_that_is_missing_names_its_extra(module: str, needs: str) -> None:
    said = run(f"{BARE}\ntry:\n    import {module}\nexcept ImportError as error:\n    print(error)")
    extra = needs.split()[-1]  # the last word of each purpose is the extra's name
    assert said.startswith(f"{needs}: pip install 'latentmas[{extra}]' ("), said


def test_commands_say_that_they_need_the_server() -> None:
    said = run(f"{BARE}\nimport manage\ntry:\n    manage.main()\nexcept ImportError as error:\n    print(error)")
    assert said.startswith("manage.py needs the server: pip install 'latentmas[server]' (")
