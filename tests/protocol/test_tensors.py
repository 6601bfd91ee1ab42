"""Files from strangers: whatever is in them, reading gives tensors or a clear error."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save

from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput, LatentMASError, TooLarge

LIMIT = 1 << 20


def written(tmp_path: Path, arrays: dict[str, np.ndarray], document: dict[str, object] | None = None) -> Path:
    path = tmp_path / "file.safetensors"
    with path.open("wb") as file:
        tensors.write(file, arrays, document or {"kind": "test"})
    return path


def raw(tmp_path: Path, header: object, data: bytes = b"") -> Path:
    encoded = json.dumps(header).encode() if not isinstance(header, bytes) else header
    path = tmp_path / "raw.safetensors"
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)
    return path


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


METADATA = {"__metadata__": {"latentmas": "{}"}}


def test_it_reads_what_it_wrote(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    file = tensors.open_tensors(written(tmp_path, {"a": array}, {"kind": "x", "n": 1}), max_bytes=LIMIT)
    assert file.document == {"kind": "x", "n": 1}
    np.testing.assert_array_equal(file.read("a"), array)
    np.testing.assert_array_equal(file.read("a", first=1, count=2), array[1:3])


def test_the_safetensors_library_reads_what_it_wrote(tmp_path: Path) -> None:
    arrays = {
        "odd": np.arange(3, dtype=np.uint8),
        "half": np.ones((2, 3), dtype=np.float16),
        "turned": np.arange(6, dtype=np.float64).reshape(2, 3).T,
        "whole": np.array([-1, 2], dtype=np.int64),
    }
    path = written(tmp_path, arrays, {"text": "é"})
    with safe_open(path, framework="np") as file:
        assert file.metadata() == {"latentmas": '{"text":"é"}'}
        for name, array in arrays.items():
            np.testing.assert_array_equal(file.get_tensor(name), array)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's figures of a process")
def test_what_was_read_of_a_mapped_file_can_be_let_go(tmp_path: Path) -> None:
    size = 64 << 20
    with (tmp_path / "large").open("wb") as file:
        tensors.write(file, {"rows": np.ones(size, np.int8)}, {})
    opened = tensors.open_tensors(tmp_path / "large", max_bytes=2 * size)
    before = mapped_bytes()
    assert opened.read("rows").all()
    assert mapped_bytes() - before > size / 2
    opened.let_go()
    assert mapped_bytes() - before < size / 4
    assert opened.read("rows", first=size - 1)[0] == 1


def mapped_bytes() -> int:
    """Return how much of mapped files this process holds in memory."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("RssFile:"))
    return int(line.split()[1]) << 10


def test_it_does_not_write_what_it_could_not_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is complex128"):
        written(tmp_path, {"a": np.ones(2, dtype=np.complex128)})


def test_the_same_content_gives_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    one, two = np.ones(3, dtype=np.float16), np.zeros(2, dtype=np.float32)
    first = written(tmp_path, {"a": one, "b": two}, {"x": 1, "y": 2}).read_bytes()
    assert written(tmp_path, {"b": two, "a": one}, {"y": 2, "x": 1}).read_bytes() == first


def test_it_refuses_a_file_larger_than_the_limit(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="limit is 10"):
        tensors.open_tensors(written(tmp_path, {"a": np.ones(100)}), max_bytes=10)


def test_it_refuses_a_header_that_claims_more_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    with pytest.raises(TooLarge, match="header claims"):
        tensors.open_tensors(path, max_bytes=LIMIT)


def test_it_refuses_a_header_longer_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes((100).to_bytes(8, "little") + b"{}")
    with pytest.raises(InvalidInput, match="has only 10"):
        tensors.open_tensors(path, max_bytes=LIMIT)


@pytest.mark.parametrize("count", range(8))
def test_it_refuses_a_file_too_short_for_a_header(tmp_path: Path, count: int) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"\0" * count)
    with pytest.raises(InvalidInput, match="too short"):
        tensors.open_tensors(path, max_bytes=LIMIT)


@pytest.mark.parametrize(
    ("header", "data", "reason"),
    [
        (b"not json", b"", "not valid JSON"),
        (b"[" * 100_000, b"", "not valid JSON"),  # deeper than the parser's stack
        ([1], b"", "not a JSON object"),
        ({}, b"", "exactly one key"),
        ({"__metadata__": {"latentmas": "{}", "other": "x"}}, b"", "exactly one key"),
        ({"__metadata__": {"latentmas": 3}}, b"", "exactly one key"),
        ({"__metadata__": {"latentmas": "{"}}, b"", "not valid JSON"),
        (METADATA | {"a": entry("BF16", [1], 0, 2)}, b"\0\0", "is BF16"),
        (METADATA | {"a": entry("F32", [1], 0, 8)}, b"\0" * 8, "do not fit its shape"),
        (METADATA | {"a": entry("F32", [-1], 0, 4)}, b"\0" * 4, "impossible shape"),
        (METADATA | {"a": entry("F32", [True], 0, 4)}, b"\0" * 4, "impossible shape"),
        (METADATA | {"a": entry("F32", [0], 0, 0)}, b"", "impossible shape"),
        (METADATA | {"a": entry("F32", [], 0, 4)}, b"\0" * 4, "impossible shape"),
        (METADATA | {"a": entry("F32", [1 << 40], 0, 4)}, b"\0" * 4, "impossible shape"),
        (METADATA | {"a": {"dtype": "F32"}}, b"", "malformed"),
        (METADATA | {"a": entry("F32", [1], 4, 8)}, b"\0" * 8, "overlap or leave a gap"),
        (METADATA | {"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 0, 4)}, b"\0" * 4, "overlap"),
        (METADATA | {"a": entry("F32", [1], 0, 4)}, b"\0" * 5, "end at byte"),
        (METADATA | {"a": entry("F32", [1 << 20], 0, 4 << 20)}, b"\0" * 4, "end at byte"),
    ],
)
def test_it_says_what_is_wrong_with_a_hostile_file(tmp_path: Path, header: object, data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        tensors.open_tensors(raw(tmp_path, header, data), max_bytes=LIMIT)


def test_it_refuses_more_metadata_keys_than_its_own(tmp_path: Path) -> None:
    path = tmp_path / "two"
    path.write_bytes(save({"a": np.ones(1)}, metadata={"latentmas": "{}", "format": "np"}))
    with pytest.raises(InvalidInput, match="exactly one key"):
        tensors.open_tensors(path, max_bytes=LIMIT)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_it_refuses_values_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    file = tensors.open_tensors(written(tmp_path, {"a": np.array([1.0, bad])}), max_bytes=LIMIT)
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        file.read("a")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_read_but_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("damaged"), {"a": np.ones((4, 2), dtype=np.float32)})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        file = tensors.open_tensors(path, max_bytes=LIMIT)
        for name in file.tensors:
            file.read(name)
    except LatentMASError:
        return
    assert sum(info.size for info in file.tensors.values()) < len(content)
