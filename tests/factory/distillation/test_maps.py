"""Distilled maps: found by the weights that they are of, unchanged, and measured like any other draft."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from factory.distillation.arrays import mixed, smaller
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


def some_map(*, rank: int, known: int, layer: int = 4) -> dict[str, np.ndarray]:
    """A map of three layers on both sides, whose first six latents say all but a thousandth."""
    random = np.random.default_rng(0)
    decoder = random.normal(size=(rank, 3 * layer))
    decoder[6:] *= 1e-3
    return {
        "encoder": random.normal(size=(3 * layer, rank)),
        "decoder": decoder,
        "latent_scale": 0.5 + random.random(rank),
        "correction_encoder": random.normal(size=(2, known * layer, 5)),
        "correction_decoder": random.normal(size=(5, 3 * layer)),
        "target_mean": np.zeros(3 * layer),
    }


def test_a_smaller_map_predicts_what_its_rank_allows() -> None:
    before = some_map(rank=9, known=2)
    made = smaller(before, dimension=6, width=4)
    assert made["encoder"].shape == (12, 6)
    assert made["correction_encoder"].shape == (2, 4, 5)
    np.testing.assert_allclose(made["encoder"] @ made["decoder"], before["encoder"] @ before["decoder"], atol=0.02)
    np.testing.assert_allclose(made["correction_encoder"], before["correction_encoder"][:, :4], rtol=1e-6)
    spread = np.linalg.norm(made["decoder"], axis=1)
    assert (np.diff(spread) <= 0).all()  # the strongest latents are kept, and each has the spread 1
    np.testing.assert_array_equal(made["latent_scale"], 1.0)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"dimension": 10, "width": 4}, "the unified dimension cannot be 10: that of the map at hand is 9"),
        ({"dimension": 6, "width": 12}, "the width of the known layers cannot be 12: that of the map at hand is 8"),
    ],
)
def test_a_map_is_not_made_larger(shape: dict[str, int], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        smaller(some_map(rank=9, known=2), **shape)


def test_a_mean_of_two_maps_lies_where_its_share_says() -> None:
    before = some_map(rank=9, known=2)
    after = {name: array + 1 for name, array in before.items()}
    for share in (0.25, 1.0):
        for name, array in mixed(before, after, share=share).items():
            np.testing.assert_allclose(array, before[name] + share, rtol=1e-5, atol=1e-6)


def _weights_of(path: Path) -> tuple[str, str]:
    from latentmas.protocol import tensors

    document = tensors.open_tensors(path, max_bytes=1 << 28).document
    return document["source_weights"], document["target_weights"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "--steps is 0; it must be at least 1"),
        ({"rate": 1.5}, "--rate is 1.5; it must lie between 0 and 1"),
        ({"mix": 0.0}, "--mix is 0.0; it must lie above 0 and be at most 1"),
        ({"recall": 1.0}, "--recall is 1.0; it must be at least 0 and below 1"),
        ({"device": "abacus"}, "torch has no device 'abacus' here"),
    ],
)
def test_the_command_says_what_is_wrong(options: dict[str, object], message: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(CommandError, match=message):
        call_command("distil_map", "smollm2-135m", "gemma-3-270m", **options)
