import importlib.util
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from latentmas.protocol.errors import ModelNotSupported
from latentmas.runners.weights import PACKAGED, find_weights


def test_a_closed_model_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(ModelNotSupported, match="no weights of gpt-4") as error:
        find_weights("gpt-4", cache=tmp_path)
    assert "closed models cannot be run" in error.value.advice


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else original(name))
    with pytest.raises(ModelNotSupported, match="torch is not installed") as error:
        find_weights("smollm2-135m", cache=tmp_path)
    assert "latentmas[models]" in error.value.advice


def test_a_folders_digest_is_that_of_its_weights(tmp_path: Path) -> None:
    for name, value in (("one", 1.0), ("two", 2.0), ("again", 1.0)):
        (tmp_path / name).mkdir()
        save_file({"w": np.array([value])}, tmp_path / name / "model.safetensors")
    one, two, again = (
        find_weights("mine", cache=tmp_path, location=str(tmp_path / name)) for name in ("one", "two", "again")
    )
    assert one.digest == again.digest != two.digest
    assert one.folder == tmp_path / "one"


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotSupported, match="no safetensors weights"):
        find_weights("mine", cache=tmp_path, location=str(tmp_path))


def test_a_place_that_is_neither_file_nor_hub_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotSupported, match="no folder or GGUF file"):
        find_weights("mine", cache=tmp_path, location=str(tmp_path / "absent"))


def test_the_two_models_of_the_demonstration_are_packaged(tmp_path: Path) -> None:
    assert set(PACKAGED) == {"smollm2-135m", "gemma-3-270m"}
    for locate in PACKAGED.values():
        assert locate(tmp_path).read_bytes()[:4] == b"GGUF"
