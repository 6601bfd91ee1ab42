"""The `.kvz` file: what was written is read, headers are small, and a damaged or lying file is a clear error."""

import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvcache.coding import quantised, raw
from kvcache.compression.container import Container, read_kvz, unpack, write_kvz
from latentmas.protocol import tensors
from latentmas.protocol.canonical import canonical
from latentmas.protocol.errors import InvalidInput, LatentMASError, TooLarge
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame, whole

GEOMETRY = KVGeometry(3, 2, 8, 8, (10_000.0, 1e6, 10_000.0), (4, None, 4))
MAX_HEADER = 2560
DIGEST = "sha256:" + "0" * 64


def cache(tokens: int, geometry: KVGeometry = GEOMETRY, **known: Any) -> KVSnapshot:
    generator = np.random.default_rng(tokens)
    shape = (geometry.layers, tokens, geometry.heads)
    keys, values = (
        generator.normal(size=(*shape, dim)).astype("f4") for dim in (geometry.head_dim, geometry.value_width)
    )
    return KVSnapshot(whole(geometry, tokens, **known), keys, values)


def annotated(tokens: int) -> KVSnapshot:
    ends = np.cumsum(np.arange(tokens) % 5)
    return cache(
        tokens,
        model="small",
        weights=DIGEST,
        context=DIGEST,
        token_ids=np.arange(tokens, dtype=np.int32) * 11,
        offsets=np.stack([ends, ends + 3], axis=1).astype(np.int32),
    )


def kvz(snapshot: KVSnapshot, **changed: Any) -> Container:
    known = {"encoded": quantised.encode(snapshot), "selection": None, "profile": None, "evidence": {}}
    return Container(frame=snapshot.frame, **known | changed)


def assert_same_frame(again: SnapshotFrame, before: SnapshotFrame) -> None:
    for name in ("model", "weights", "geometry", "next_position", "starts", "context"):
        assert getattr(again, name) == getattr(before, name), name
    for name in ("positions", "token_ids", "offsets"):
        np.testing.assert_array_equal(getattr(again, name), getattr(before, name))


def rewritten(data: bytes, change: Any, *, sections: dict[str, np.ndarray] | None = None, sign: bool = True) -> bytes:
    """The file with its document changed, and its digests put right again: what an attacker can do."""
    opened = tensors.parse_tensors(data, max_bytes=len(data))
    document = dict(opened.document)
    arrays = {name: opened.read(name) for name in opened.tensors} | (sections or {})
    document["sections"] = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    change(document)
    if sign:
        document.pop("digest", None)
        document["digest"] = hashlib.sha256(canonical(document)).hexdigest()
    return written(arrays, document)


def written(arrays: dict[str, np.ndarray], document: dict[str, Any]) -> bytes:
    file = BytesIO()
    tensors.write(file, arrays, document)
    return file.getvalue()


def test_a_container_is_read_as_it_was_written(tmp_path: Path) -> None:
    snapshot = annotated(70)
    before = kvz(
        snapshot,
        selection={"coverage": "0.93", "threshold": "0.9", "of_tokens": 1000},
        evidence={"kl": "0.004", "basis": "functional"},
    )
    data = write_kvz(before)
    path = tmp_path / "snapshot.kvz"
    path.write_bytes(data)
    for again in (read_kvz(data), read_kvz(path)):
        assert_same_frame(again.frame, before.frame)
        assert (again.selection, again.evidence, again.profile) == (before.selection, before.evidence, None)
        assert again.encoded.parameters == before.encoded.parameters
        for name, array in before.encoded.sections.items():
            np.testing.assert_array_equal(again.encoded.sections[name], array)
        assert write_kvz(again) == data


def test_kept_tokens_keep_their_positions_in_the_decoded_snapshot() -> None:
    kept = np.array([0, 1, 7, 30, 31, 59])
    snapshot = annotated(60).select(kept)
    again = unpack(read_kvz(write_kvz(kvz(snapshot, encoded=quantised.encode(snapshot, bits=8)))))
    assert_same_frame(again.frame, snapshot.frame)
    assert again.frame.missing == 54
    np.testing.assert_allclose(again.keys, snapshot.keys, atol=0.1)


@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_raw_arrays_come_back_bit_for_bit(dtype: str) -> None:
    snapshot = cache(9)
    frame = replace(snapshot.frame, starts=(6, 0, 2))
    for array in (snapshot.keys, snapshot.values):
        array[0, :6] = array[2, :2] = 0
    stored = KVSnapshot(frame, snapshot.keys.astype(dtype), snapshot.values.astype(dtype))
    again = unpack(read_kvz(write_kvz(kvz(stored, encoded=raw.encode(stored)))))
    np.testing.assert_array_equal(again.keys, stored.keys)
    np.testing.assert_array_equal(again.values, stored.values)


def test_the_header_of_a_deep_model_is_small() -> None:
    deep = KVGeometry(30, 3, 64, 64, (100_000.0,) * 30, (None,) * 30)
    snapshot = cache(40, deep, model="smollm2-135m", weights=DIGEST, context=DIGEST, token_ids=np.arange(40))
    data = write_kvz(kvz(snapshot))
    assert 8 + int.from_bytes(data[:8], "little") < MAX_HEADER


@pytest.mark.parametrize(("name", "itemsize"), [("frame.token_ids", 2), ("frame.offsets", 1), ("frame.positions", 1)])
def test_frame_arrays_take_the_smallest_type(name: str, itemsize: int) -> None:
    data = write_kvz(kvz(annotated(60).select(np.array([0, 3, 50]))))
    assert tensors.parse_tensors(data, max_bytes=len(data)).tensors[name].dtype.itemsize == itemsize


def test_contiguous_positions_are_not_stored() -> None:
    data = write_kvz(kvz(cache(60).select(np.arange(20, 60))))
    assert "frame.positions" not in tensors.parse_tensors(data, max_bytes=len(data)).tensors
    assert read_kvz(data).frame.positions.tolist() == list(range(20, 60))


@pytest.mark.parametrize("given", [None, SimpleNamespace(digest="sha256:" + "1" * 64)])
def test_unpacking_needs_the_very_profile(given: Any) -> None:
    container = kvz(cache(6), encoded=replace(raw.encode(cache(6)), coding="transform"), profile=DIGEST)
    with pytest.raises(InvalidInput, match=f"coded with the codec profile {DIGEST}"):
        unpack(read_kvz(write_kvz(container)), profile=given)


def test_it_refuses_a_file_above_the_limit() -> None:
    with pytest.raises(TooLarge, match="the limit is 100"):
        read_kvz(write_kvz(kvz(cache(9))), max_bytes=100)


def test_it_refuses_to_decode_more_than_the_limit_before_it_allocates_that() -> None:
    def lie(document: dict[str, Any]) -> None:
        document["frame"] |= {"tokens": (1 << 31) - 2, "next_position": (1 << 31) - 1}

    with pytest.raises(TooLarge, match="decodes to"):
        read_kvz(rewritten(write_kvz(kvz(cache(9))), lie))
    with pytest.raises(TooLarge, match="the limit is 3000"):
        read_kvz(write_kvz(kvz(cache(9))), max_decoded_bytes=3000)


def test_it_refuses_more_tokens_than_the_code_holds_before_it_allocates_them() -> None:
    def lie(document: dict[str, Any]) -> None:
        document["frame"] |= {"tokens": 50_000, "next_position": 50_000}

    with pytest.raises(InvalidInput, match="cannot hold"):
        unpack(read_kvz(rewritten(write_kvz(kvz(cache(40))), lie)))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "kv-snapshot"},
        {"version": 2},
        {"coding": "zip"},
        {"coding": ["raw"]},
        {"coding": "transform"},
        {"profile": DIGEST},
        {"parameters": []},
        {"selection": "0.9"},
        {"evidence": None},
        {"frame": []},
        {"sections": {}},
        {"stranger": 1},
    ],
)
def test_it_refuses_a_document_of_another_form(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        read_kvz(rewritten(write_kvz(kvz(cache(40))), lambda document: document.update(change)))


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": 0},
        {"tokens": True},
        {"tokens": -5},
        {"tokens": "40"},
        {"tokens": 39},
        {"first_position": -1},
        {"first_position": 3},
        {"next_position": 7},
        {"starts": 40},
        {"starts": [0, 0]},
        {"starts": None},
        {"model": 5},
        {"geometry": None},
        {"geometry": {"layers": 1 << 40}},
        {"geometry": {"heads": 1 << 62}},
        {"geometry": {"heads": 0}},
        {"geometry": {"head_dim": "eight"}},
        {"geometry": {"rotary_dim": 10}},
        {"geometry": {"thetas": "nan"}},
        {"geometry": {"thetas": "-2"}},
        {"geometry": {"thetas": []}},
        {"geometry": {"windows": -1}},
        {"geometry": {"layers": 4}},
    ],
)
def test_a_frame_that_lies_is_refused(change: dict[str, Any]) -> None:
    def lie(document: dict[str, Any]) -> None:
        frame = document["frame"]
        geometry = change.get("geometry")
        document["frame"] = frame | change | ({"geometry": frame["geometry"] | geometry} if geometry else {})

    with pytest.raises(LatentMASError):
        unpack(read_kvz(rewritten(write_kvz(kvz(annotated(40))), lie)))


@pytest.mark.parametrize(
    "sections",
    [
        {"frame.positions": np.ones(39, "f4")},
        {"frame.positions": np.zeros(39, "u1")},
        {"frame.positions": np.full(39, (1 << 31) - 1, "i4")},
        {"frame.token_ids": np.zeros(39, "u2")},
        {"frame.offsets": np.full((40, 2), (1 << 31) - 1, "i4")},
        {"frame.stranger": np.zeros(1, "u1")},
        {"code": np.zeros((2, 2), "i4")},
        {"code": np.array(5, "i4")},
    ],
)
def test_a_section_that_lies_is_refused(sections: dict[str, np.ndarray]) -> None:
    with pytest.raises(LatentMASError):
        unpack(read_kvz(rewritten(write_kvz(kvz(annotated(40))), lambda document: None, sections=sections)))


def test_a_document_nested_too_deeply_is_refused() -> None:
    data = write_kvz(kvz(cache(6)))
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    document = json.loads(header["__metadata__"]["latentmas"])
    deep = '{"":' * 990 + "1" + "}" * 990
    text = json.dumps(document | {"evidence": "HERE"}).replace('"HERE"', deep)
    encoded = json.dumps(header | {"__metadata__": {"latentmas": text}}).encode()
    with pytest.raises(InvalidInput):
        read_kvz(len(encoded).to_bytes(8, "little") + encoded + data[8 + length :])


def test_every_changed_byte_is_noticed() -> None:
    data = write_kvz(kvz(annotated(5)))
    before = read_kvz(data)
    padding = range(8 + int.from_bytes(data[:8], "little") - 8, 8 + int.from_bytes(data[:8], "little"))
    for place in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[place] ^= 1 + place % 255
        try:
            again = read_kvz(bytes(damaged))
        except LatentMASError:
            continue
        assert place in padding or again.encoded.parameters == before.encoded.parameters
        assert write_kvz(again) == data  # white space, or the spelling of a number: the content is the same


@given(st.integers(0, 10_000))
@settings(deadline=None)
def test_a_truncated_file_is_refused(length: int) -> None:
    data = SMALL
    with pytest.raises(LatentMASError):
        read_kvz(data[: length % len(data)])


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(LatentMASError):
        read_kvz(data)


@given(st.integers(1, 40), st.data())
@settings(deadline=None, max_examples=60)
def test_sections_of_any_content_are_refused_or_decode(tokens: int, data: st.DataObject) -> None:
    """The digests are right, so this is what reaches the decoder."""
    opened = tensors.parse_tensors(SMALL, max_bytes=len(SMALL))
    name = data.draw(st.sampled_from(sorted(opened.tensors)))
    before = opened.read(name)
    size = data.draw(st.sampled_from([before.nbytes, before.nbytes // 2 + 8]))
    content = data.draw(st.binary(min_size=size, max_size=size))
    array = np.frombuffer(content[: size // before.itemsize * before.itemsize], before.dtype)
    array = array.reshape(before.shape) if array.size == before.size else array

    def lie(document: dict[str, Any]) -> None:
        document["frame"]["tokens"] = tokens

    with suppress(LatentMASError):
        unpack(read_kvz(rewritten(SMALL, lie, sections={name: array})))


SMALL = write_kvz(kvz(annotated(40)))
