"""What a web process loads: never JAX or torch, which are slow to import and must not be loaded before a fork.

Nor boto3, which only S3 needs.
"""

import os
import subprocess
import sys

PROBE = """
import sys, django
django.setup()
from django.urls import get_resolver
get_resolver().url_patterns
print(",".join(sorted({"jax", "torch", "transformers", "boto3"} & set(sys.modules))))
"""


def test_neither_jax_nor_torch_nor_boto3_is_imported_at_start_up() -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "latentmas.settings"}
    found = subprocess.run(
        [sys.executable, "-c", PROBE], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == ""


WITHOUT_MODELS = """
import sys
class Bare:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ("accelerate", "gguf", "torch", "transformers"):
            return self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Bare(each) for each in sys.meta_path]
"""


def test_a_server_starts_without_what_runs_models() -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "latentmas.settings"}
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_MODELS + PROBE],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout.strip()) == (0, ""), found.stderr
