"""Distilled maps: found by the weights that they are of, unchanged, and measured like any other draft."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from factory.distillation.maps import SHIPPED, DistilledMap, Origin, find_map, keep_map
from factory.recipes.distilled import DistillationOrder, make_distilled
from factory.session import FactorySession
from latentmas.protocol.errors import InvalidInput

ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")
ARRAYS = {"encoder": np.eye(3, dtype=np.float16), "latent_scale": np.ones(3, np.float32)}


def kept(cache: Path, **settings: str) -> DistilledMap:
    return keep_map(ARRAYS, Origin(ONE, TWO, settings), cache=cache)


def test_a_map_is_found_by_both_models_weights_alone(tmp_path: Path) -> None:
    made = kept(tmp_path, distillation_steps="3")
    found = find_map(ONE, TWO, cache=tmp_path)
    assert found == made
    np.testing.assert_array_equal(found.read()["encoder"], ARRAYS["encoder"])
    assert find_map(TWO, ONE, cache=tmp_path) is None
    assert find_map(ONE, ONE, cache=tmp_path) is None


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    made = kept(tmp_path)
    data = bytearray(made.path.read_bytes())
    data[-1] ^= 1
    made.path.write_bytes(data)
    with pytest.raises(InvalidInput, match="it was changed or is incomplete"):
        find_map(ONE, TWO, cache=tmp_path).read()


def test_every_shipped_map_is_whole(tmp_path: Path) -> None:
    paths = list(SHIPPED.glob("*.safetensors"))
    assert paths
    for path in paths:
        origin = find_map(*_weights_of(path), cache=tmp_path)
        arrays = origin.read()
        assert {"encoder", "decoder", "correction_encoder", "source_bos", "target_bos"} <= set(arrays)


def test_there_must_be_a_map_to_go_on_from(tmp_path: Path) -> None:
    session = SimpleNamespace(distilled_map=lambda source, target: find_map(ONE, TWO, cache=tmp_path))
    order = DistillationOrder("one", "two", 1, 1, 0.01, 0, 512, 2, 256, "cpu", further=True)
    with pytest.raises(InvalidInput, match="no distilled map from one to two") as caught:
        make_distilled(order, cast(FactorySession, session))
    assert "Leave out --further" in caught.value.advice


def _weights_of(path: Path) -> tuple[str, str]:
    from latentmas.protocol import tensors

    document = tensors.open_tensors(path, max_bytes=1 << 28).document
    return document["source_weights"], document["target_weights"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "--steps is 0; it must be at least 1"),
        ({"rate": 1.5}, "--rate is 1.5; it must lie between 0 and 1"),
        ({"device": "abacus"}, "torch has no device 'abacus' here"),
    ],
)
def test_the_command_says_what_is_wrong(options: dict[str, object], message: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(CommandError, match=message):
        call_command("distil_map", "smollm2-135m", "gemma-3-270m", **options)
