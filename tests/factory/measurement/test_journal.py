"""What was scored stays scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factory.measurement.arms import Scored
from factory.measurement.journal import Journal
from latentmas.protocol.errors import StorageUnavailable
from latentmas.protocol.quality import DocumentScore

SCORE = DocumentScore("ab" * 8, 63, {"own": 2.5, "nothing": 3.25}, register="code", length=256)
KEY = ("code", 256, "ab" * 8)


def test_a_journal_gives_back_what_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "scores" / "one.jsonl"
    Journal(path).add(Scored(SCORE, np.array([[0.5, 0.25]])))
    found = Journal(path).get(KEY)
    assert found is not None
    assert found.score == SCORE
    np.testing.assert_array_equal(found.fidelity, [[0.5, 0.25]])
    assert Journal(path).get(("code", 1024, "ab" * 8)) is None


def test_a_torn_last_line_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    Journal(path).add(Scored(SCORE, None))
    with path.open("a") as file:
        file.write('{"score": {"docum')
    other = replace(SCORE, document="cd" * 8)
    Journal(path).add(Scored(other, None))
    again = Journal(path)
    assert again.get(KEY) is not None
    assert again.get(("code", 256, "cd" * 8)) is not None


def test_without_a_path_nothing_is_kept() -> None:
    journal = Journal()
    journal.add(Scored(SCORE, None))
    assert journal.get(KEY) is not None


def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="could not be kept"):
        Journal(tmp_path / "file" / "one.jsonl").add(Scored(SCORE, None))
