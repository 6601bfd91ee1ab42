"""Scores are what they were before arms were read together: `scores.json` was recorded an arm after the other."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factory.measurement.arms import judged, scored
from factory.measurement.passages import Passage, read_passage
from tests.factory.measurement.matrices import SOURCE, halved, noise, with_arrays
from tests.tiny import document, tiny_model

RECORDED = json.loads((Path(__file__).parent / "scores.json").read_text())
WINDOWS = {"whole": None, "sliding": 48}
SHARES = {"short": 1, "long": 2}  # of a passage of 130 tokens
CLOSE = 1e-5  # nats a token


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("length", SHARES)
def test_every_arm_scores_what_it_scored_alone(window: str, length: str) -> None:
    found = scores(WINDOWS[window], 130 * SHARES[length])
    recorded = RECORDED[f"{window}, {length}"]
    assert found["nll"].keys() == recorded["nll"].keys()
    for arm, nll in recorded["nll"].items():
        assert found["nll"][arm] == pytest.approx(nll, abs=CLOSE), arm
    np.testing.assert_allclose(found["fidelity"], recorded["fidelity"], atol=CLOSE)


def scores(window: int | None, tokens: int) -> dict[str, object]:
    """The NLLs and the fidelity of a passage beside a shorter stranger."""
    model = tiny_model(window=window)
    source = replace(model, name=SOURCE)
    passage, stranger = (
        read_passage(document(tokens + 64 - 20 * seed, seed), source=source, target=model) for seed in range(2)
    )
    assert isinstance(passage, Passage)
    assert isinstance(stranger, Passage)
    arrays = noise(model)
    control = arrays | {name: halved(model).arrays[name] for name in ("target_mean", "target_scale")}
    one = scored(passage, stranger, judged(with_arrays(halved(model), arrays), tokens_only=control), target=model)
    assert one.fidelity is not None
    return {"nll": one.score.nll, "fidelity": one.fidelity.tolist()}
