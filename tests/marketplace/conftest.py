"""Every marketplace test has its own folder of files and a registry of a few models."""

from pathlib import Path

import pytest
from django.test import override_settings

from latentmas.registry.data_file import load, read_entries

MODELS = {"smollm2-135m", "gemma-3-270m", "gpt-4", "llama-3-8b", "qwen-7b"}


@pytest.fixture(autouse=True)
def _own_blobs(tmp_path: Path, settings):
    storages = dict(settings.STORAGES)
    storages["blobs"] = {**storages["blobs"], "OPTIONS": {"location": tmp_path / "blobs"}}
    with override_settings(STORAGES=storages):
        yield


@pytest.fixture
def registry(db):
    load([entry for entry in read_entries() if entry.name in MODELS])
