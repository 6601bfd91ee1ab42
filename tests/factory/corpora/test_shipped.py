import hashlib
import json
import lzma
from pathlib import Path

import pytest

from factory.corpora import shipped
from latentmas.protocol.errors import InvalidInput, StorageUnavailable


def test_there_are_124_speeches_and_each_says_whose_it_is() -> None:
    found = list(shipped.speeches())
    assert len(found) == 124
    assert found[0].place == "inaugural address, Washington, 1789"
    assert found[0].text.startswith("Fellow-Citizens of the Senate and of the House of Representatives:")
    assert max(len(each.text) for each in found) <= 12_000


def test_a_changed_data_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "DATA", tmp_path)
    (tmp_path / shipped.SPEECHES_FILE).write_bytes(lzma.compress(b"[]"))
    with pytest.raises(InvalidInput, match="figures would not compare"):
        list(shipped.speeches())


def test_a_missing_data_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "DATA", tmp_path / "absent")
    with pytest.raises(StorageUnavailable, match=r"sampled\.json\.xz is missing"):
        list(shipped.sampled())


def test_sampled_texts_are_read_where_their_digest_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = lzma.compress(json.dumps([{"model": "a", "seed": 3, "text": "once"}]).encode())
    (tmp_path / shipped.SAMPLED_FILE).write_bytes(data)
    monkeypatch.setattr(shipped, "DATA", tmp_path)
    monkeypatch.setattr(shipped, "SAMPLED_SHA256", hashlib.sha256(data).hexdigest())
    (found,) = shipped.sampled()
    assert (found.place, found.text) == ("a, seed 3", "once")
