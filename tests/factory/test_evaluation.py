"""What the target makes of a memory, with and without the last tokens read by itself. A small random model judges."""

import numpy as np
import pytest

from factory.evaluation import _nll, memory_of
from factory.passages import Passage, read_passage
from factory.runners.model import RunningModel
from tests.factory.codec.tiny import document, tiny_model

READ = 8  # tokens


@pytest.fixture(scope="module")
def model() -> RunningModel:
    return tiny_model()


@pytest.fixture(scope="module")
def passage(model: RunningModel) -> Passage:
    found = read_passage(document(220), source=model, target=model)
    assert found is not None
    return found


def test_reading_the_last_tokens_after_ones_own_memory_of_the_others_changes_nothing(model, passage) -> None:
    whole = _nll(model, passage.own_rows, passage)
    assert _nll(model, passage.own_rows, passage, reread=READ) == pytest.approx(whole, rel=1e-4)


def test_what_is_read_again_is_not_taken_from_the_memory(model, passage) -> None:
    spoilt = passage.own_rows[1:].copy()
    spoilt[-READ:] = np.random.default_rng(0).normal(size=spoilt[-READ:].shape)
    own, harmed, read = (
        _nll(model, memory_of(passage, rows), passage, reread=reread)
        for rows, reread in ((passage.own_rows[1:], 0), (spoilt, 0), (spoilt, READ))
    )
    assert harmed != pytest.approx(own, rel=1e-3)
    assert read == pytest.approx(own, rel=1e-4)
