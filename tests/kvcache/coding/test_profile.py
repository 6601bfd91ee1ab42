"""A codec profile is read as it was written, and one that contradicts itself is refused."""

import hashlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kvcache.coding.profile import CurvePoint, open_profile, write_profile
from kvcache.kernels import coefficient_classes as classes
from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.errors import InvalidInput, TooLarge
from latentmas.protocol.geometry import KVGeometry
from tests.kvcache.profiles import FULL, SLIDING, Shape, document_of, framed, groups_of, shared_arrays

BOS = np.linspace(-3, 3, FULL.width)
CURVE = (CurvePoint(8, 20.5, 0.0081, 0.9667, 1.25), CurvePoint(24, 38.0, 0.031, 0.92, 4.5))


def written(shape: Shape | None = None, **known: Any) -> bytes:
    shape = shape or Shape()
    groups = groups_of(shape)
    file = BytesIO()
    write_profile(file, document_of(shape, groups, **known), groups, shared_arrays(shape, BOS))
    return file.getvalue()


def kept(data: bytes, folder: Path) -> Path:
    path = folder / f"{hashlib.sha256(data).hexdigest()}.safetensors"
    path.write_bytes(data)
    return path


def rewritten(data: bytes, *, arrays: dict[str, Any] | None = None, document: dict[str, Any] | None = None) -> bytes:
    """The file with tensors replaced (None: removed) and its document changed."""
    opened = tensors.parse_tensors(data, max_bytes=len(data))
    held = {name: opened.read(name) for name in opened.tensors} | (arrays or {})
    file = BytesIO()
    tensors.write(
        file,
        {name: array for name, array in held.items() if array is not None},
        opened.document | (document or {}),
    )
    return file.getvalue()


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    shape = Shape(geometry=SLIDING, parts=2, rank=0.7, importance=0.1, shrink=0.03)
    data = written(shape, curve=CURVE)
    opened = open_profile(kept(data, tmp_path))
    assert opened.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (opened.size, opened.model, opened.version, opened.geometry) == (len(data), "small", "1.0.0", SLIDING)
    assert opened.document.curve == CURVE
    assert [group.scope for group in opened.groups] == ["all", "all", "full-attention", "full-attention"]
    for group, before in zip(opened.groups, groups_of(shape), strict=True):
        assert group.layers == before.layers
        for name in ("mean", "weight", "basis", "basis_scale", "levels", "importance"):
            np.testing.assert_array_equal(getattr(group, name), getattr(before, name))
    for name, array in shared_arrays(shape, BOS).items():
        np.testing.assert_array_equal(getattr(opened, name), array)


def test_the_same_profile_gives_the_same_bytes() -> None:
    assert written(curve=CURVE) == written(curve=CURVE)


def test_a_width_need_not_be_a_multiple_of_the_bases_blocks(tmp_path: Path) -> None:
    narrow = KVGeometry(3, 1, 8, 0, (1.0,) * 3, (None,) * 3)
    groups = groups_of(Shape(geometry=narrow))
    assert groups[0].basis_scale.shape[0] == 1
    file = BytesIO()
    write_profile(file, document_of(Shape(geometry=narrow), groups), groups, shared_arrays(Shape(), np.ones(48)))
    assert open_profile(kept(file.getvalue(), tmp_path)).groups[0].rank == 48


def test_tokens_get_the_groups_of_exactly_the_layers_that_hold_them(tmp_path: Path) -> None:
    opened = open_profile(kept(written(Shape(geometry=SLIDING, parts=2)), tmp_path))
    assert [group.layers for group in opened.groups_for(range(4))] == [(0, 1), (2, 3)]
    assert [group.layers for group in opened.groups_for((1, 3))] == [(1,), (3,)]
    for layers in ((), (0, 1), (0, 1, 2)):
        with pytest.raises(InvalidInput, match=f"held by {len(layers)} of 4 layers"):
            opened.groups_for(layers)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "llama-3-8b"}, "is of the model 'small'; the snapshot's model is 'llama-3-8b'"),
        ({"model": None}, "the snapshot's model is None"),
        ({"weights": "sha256:00"}, "the snapshot's weights is 'sha256:00'"),
        ({"geometry": replace(FULL, thetas=(5e5,) * 4)}, "the codec profile is for KVGeometry"),
    ],
)
def test_it_accepts_only_caches_of_the_very_model(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    opened = open_profile(kept(written(), tmp_path))
    frame = framed(FULL, 5)
    opened.accept(frame)
    with pytest.raises(InvalidInput, match=said) as caught:
        opened.accept(replace(frame, **changed))
    assert caught.value.facts["field"] == "profile"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"kind": "kvz"}, "this is no codec profile: its kind is 'kvz'"),
        ({"version": "one"}, "version"),
        ({"scopes": []}, "one scope for each of its layer groups"),
        ({"scopes": ["some"]}, "malformed"),
        ({"scopes": ["full-attention"]}, "groups of scope"),
        ({"layers": [[0, 1, 2]]}, "groups of scope 'all' must hold each of its layers once"),
        ({"layers": [[0, 1, 2, 2]]}, "groups of scope 'all'"),
        ({"layers": [[0, 1, 2, 3, 4]]}, "groups of scope 'all'"),
        ({"geometry": None}, "malformed"),
        ({"kl_per_distortion": "many"}, "malformed"),
        ({"curve": [{"step": 1}]}, "malformed"),
    ],
)
def test_a_document_that_contradicts_itself_is_refused(document: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        open_profile(kept(rewritten(written(), document=document), tmp_path))


def test_the_full_attention_layers_need_a_group_where_others_slide(tmp_path: Path) -> None:
    geometry: Any = plain(SLIDING)
    with pytest.raises(InvalidInput, match="groups of scope 'full-attention' must hold each of its layers once"):
        open_profile(kept(rewritten(written(), document={"geometry": geometry}), tmp_path))
    twice = {"scopes": ["all", "full-attention"], "layers": [[0, 1, 2, 3], [1, 3]]}
    with pytest.raises(InvalidInput, match="groups of scope 'full-attention'"):
        open_profile(kept(rewritten(written(), document=twice), tmp_path))


TABLE = np.full((classes.CLASSES, 128), 9, np.int32)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"0.mean": None}, "lacks or does not know the tensor '0.mean'"),
        ({"bos": None}, "lacks or does not know the tensor 'bos'"),
        ({"1.mean": np.ones(3)}, "lacks or does not know the tensor '1.mean'"),
        ({"0.mean": np.zeros(9, "f4")}, "mean is float32"),
        ({"0.mean": np.zeros(FULL.width)}, "mean is float64"),
        ({"0.basis": np.zeros((FULL.width, 5), "i1")}, "basis is int8"),
        ({"0.basis_scale": np.zeros((1, FULL.width), "f2")}, "basis_scale is float16"),
        ({"0.levels": np.zeros(FULL.width, "i4")}, "levels is int32"),
        ({"0.levels": np.arange(FULL.width, dtype="i2")}, "levels never rise"),
        ({"0.levels": np.append(np.full(FULL.width - 1, -32768), 32767).astype("i2")}, "levels never rise"),
        ({"0.weight": np.zeros(FULL.width, "f4")}, "weights are above 0"),
        ({"0.weight": np.full(FULL.width, np.nan, "f4")}, "NaN or infinity"),
        ({"frequencies": TABLE[:-1]}, "frequencies is int32"),
        ({"frequencies": TABLE[0]}, "frequencies is int32"),
        ({"frequencies": TABLE.astype("i8")}, "frequencies is int64"),
        ({"frequencies": 0 * TABLE}, "frequencies are 1 to"),
        ({"frequencies": -TABLE}, "frequencies are 1 to"),
        ({"frequencies": TABLE << 26}, "frequencies are 1 to"),
        ({"limits": np.full(classes.CLASSES, 64, "i4")}, "limits are at least 1 and within"),
        ({"limits": np.full(classes.CLASSES, 1 << 30, "i4")}, "limits are at least 1 and within"),
        ({"limits": np.zeros(classes.CLASSES, "i4")}, "limits are at least 1 and within"),
        ({"limits": np.full(classes.CLASSES, -9, "i4")}, "limits are at least 1 and within"),
        ({"shrink": np.zeros((classes.CLASSES, 3), "f4")}, "shrink is float32"),
        ({"recency": np.zeros((4, 2), "f4")}, "recency is float32"),
        ({"recency": np.zeros(4, "i4")}, "recency is int32"),
        ({"bos": np.zeros(FULL.width, "f4")}, "bos is float32"),
        ({"bos": np.zeros(5, "f2")}, "bos is float16"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        open_profile(kept(rewritten(written(), arrays=arrays), tmp_path))


def test_a_file_that_is_none_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="too short"):
        open_profile(kept(b"no", tmp_path))
    with pytest.raises(TooLarge):
        open_profile(kept(written(), tmp_path), max_bytes=1000)
