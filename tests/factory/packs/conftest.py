"""A pack that a small model with random weights wrote."""

from pathlib import Path

import pytest

from factory.packs.capture import capture_pack
from factory.progress import silent
from factory.runners.model import RunningModel
from tests.tiny import corpus


@pytest.fixture(scope="module")
def path(tiny: RunningModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packs") / "tiny.safetensors"
    with path.open("wb") as file:
        capture_pack(tiny, corpus(), file, calibration_tokens=5_000, progress=silent("capture"))
    return path
