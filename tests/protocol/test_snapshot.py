import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latentmas.protocol import tensors
from latentmas.protocol.errors import DimensionMismatch, InvalidInput, TooLarge
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, frame_arrays, frame_document, read_snapshot, whole, write_snapshot

GEOMETRY = KVGeometry(2, 1, 4, 4, (10_000.0, 10_000.0), (None, 3))


def snapshot(tokens: int = 5, dtype: str = "f4", **known: object) -> KVSnapshot:
    generator = np.random.default_rng(tokens)
    keys, values = (generator.normal(size=(2, tokens, 1, 4)).astype(dtype) for _ in range(2))
    return KVSnapshot(whole(GEOMETRY, tokens, model="smollm2-135m", **known), keys, values)


@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_a_snapshot_survives_its_file_bit_by_bit(dtype: str, tmp_path: Path) -> None:
    given = snapshot(dtype=dtype, token_ids=np.arange(5, dtype=np.int32), context="sha256:" + "a" * 64)
    data = write_snapshot(given)
    path = tmp_path / "memory.safetensors"
    path.write_bytes(data)
    for file in (data, path, tensors.parse_tensors(data, max_bytes=len(data))):
        read, further = read_snapshot(file)
        assert further == {}
        assert read.keys.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(read.keys, given.keys)
        np.testing.assert_array_equal(read.values, given.values)
        np.testing.assert_array_equal(read.frame.token_ids, given.frame.token_ids)
        assert (read.frame.model, read.frame.context) == ("smollm2-135m", "sha256:" + "a" * 64)
        assert write_snapshot(read) == data


def test_selected_tokens_keep_their_positions_and_the_rest_is_missing() -> None:
    left = snapshot().select(np.array([0, 3, 4]))
    assert left.frame.positions.tolist() == [0, 3, 4]
    assert (left.frame.next_position, left.frame.missing) == (5, 2)
    np.testing.assert_array_equal(left.keys, snapshot().keys[:, [0, 3, 4]])


def test_a_selection_moves_the_start_of_a_sliding_layer() -> None:
    frame = replace(snapshot().frame, starts=(0, 2))
    assert frame.select(np.array([0, 1, 3])).starts == (0, 2)
    assert frame.select(np.array([0, 2, 3])).starts == (0, 1)


def test_raw_bytes_count_what_each_layer_holds_at_float16() -> None:
    frame = snapshot().frame
    assert frame.raw_bytes == 5 * 2 * 8 * 2
    assert replace(frame, starts=(0, 3)).raw_bytes == (5 + 2) * 8 * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.array([0, 2, 2, 3, 4], np.int32)}, "ascending"),
        ({"positions": np.array([-1, 0, 1, 2, 3], np.int32)}, "ascending"),
        ({"positions": np.zeros((0,), np.int32)}, "at least one token"),
        ({"positions": np.zeros((1, 5), np.int32)}, "must be"),
        ({"next_position": 4}, "after the last position, 4"),
        ({"starts": (0,)}, "2 layers"),
        ({"starts": (0, 5)}, "one of the 5 tokens"),
        ({"token_ids": np.zeros(4, np.int32)}, "token_ids has the shape"),
        ({"offsets": np.zeros((5, 3), np.int32)}, "offsets has the shape"),
    ],
)
def test_a_frame_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(snapshot().frame, **change)


def test_arrays_that_do_not_fit_are_refused() -> None:
    good = snapshot()
    with pytest.raises(DimensionMismatch, match="keys has the shape"):
        KVSnapshot(good.frame, good.keys[:, :4], good.values)
    with pytest.raises(InvalidInput, match="float64"):
        KVSnapshot(good.frame, good.keys.astype("f8"), good.values)
    with pytest.raises(InvalidInput, match="NaN"):
        KVSnapshot(good.frame, good.keys, np.full_like(good.values, np.nan))


def test_files_that_are_no_snapshot_are_refused() -> None:
    data = write_snapshot(snapshot())
    with pytest.raises(InvalidInput, match="no raw KV snapshot"):
        read_snapshot(data.replace(b"kv-snapshot", b"kv-snapshoo"))
    for end in (0, 7, 40, len(data) - 1):
        with pytest.raises(InvalidInput):
            read_snapshot(data[:end])


def test_further_tensors_come_back_where_they_are_asked_for() -> None:
    given = np.arange(6, dtype=np.int32)
    data = write_snapshot(snapshot(), queries=given, query_positions=None)
    read, further = read_snapshot(data, further=("queries", "query_positions"))
    assert list(further) == ["queries"]
    np.testing.assert_array_equal(further["queries"], given)
    np.testing.assert_array_equal(read.keys, snapshot().keys)


def test_an_absent_further_tensor_leaves_the_file_as_it_is() -> None:
    assert write_snapshot(snapshot(), queries=None) == write_snapshot(snapshot())


def test_a_tensor_that_was_not_asked_for_is_refused_with_those_that_are_known() -> None:
    data = write_snapshot(snapshot(), queries=np.ones(3, "f4"))
    with pytest.raises(InvalidInput) as plain:
        read_snapshot(data)
    assert plain.value.message == "a KV snapshot has no tensor 'queries'"
    with pytest.raises(InvalidInput) as asked:
        read_snapshot(data, further=("offers",), field="body")
    assert asked.value.message == (
        "a KV snapshot has no tensor 'queries'; known are keys, values, positions, token_ids, offsets, offers"
    )
    assert asked.value.facts["field"] == "body"


def test_a_file_of_another_kind_is_refused_under_the_callers_field() -> None:
    data = write_snapshot(snapshot()).replace(b"kv-snapshot", b"kv-snapshoo")
    with pytest.raises(InvalidInput, match="document must say kind 'kv-snapshot', version 1") as error:
        read_snapshot(data, field="body")
    assert error.value.facts["field"] == "body"


@pytest.mark.parametrize("name", ["keys", "values", "positions"])
def test_a_missing_tensor_is_named(name: str) -> None:
    given = snapshot()
    arrays = {"keys": given.keys, "values": given.values} | frame_arrays(given.frame)
    file = io.BytesIO()
    del arrays[name]
    tensors.write(file, arrays, {"kind": "kv-snapshot", "version": 1, **frame_document(given.frame)})
    with pytest.raises(InvalidInput, match=f"lacks the tensor '{name}'") as error:
        read_snapshot(file.getvalue())
    assert error.value.facts["field"] == name


def test_a_further_tensor_with_nan_is_refused() -> None:
    data = write_snapshot(snapshot(), queries=np.array([np.nan], "f4"))
    with pytest.raises(InvalidInput, match="'queries' holds NaN"):
        read_snapshot(data, further=("queries",))


def test_a_file_over_the_limit_is_refused_whether_it_was_opened_before_or_not() -> None:
    data = write_snapshot(snapshot())
    for file in (data, tensors.parse_tensors(data, max_bytes=len(data))):
        with pytest.raises(TooLarge):
            read_snapshot(file, max_bytes=len(data) - 1)
