"""Codec profiles that several tests of the transform code share."""

from pathlib import Path

import pytest

from kvcache.coding.profile import OpenedProfile
from tests.kvcache.profiles import Shape, codec_profile


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profiles")


@pytest.fixture(scope="module")
def sensitive(folder: Path) -> OpenedProfile:
    """A profile to which tokens and their distance to the end matter."""
    return codec_profile(folder, Shape(importance=0.05, recency=2.0, rank=0.5))
