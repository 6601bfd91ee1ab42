import numpy as np
import pytest

from factory.codec.curve import agreement, reference
from factory.codec.windows import Window


def log_probabilities(rows: list[list[float]]) -> np.ndarray:
    return np.log(np.array(rows, np.float32))


def test_the_same_predictions_agree() -> None:
    own = log_probabilities([[0.2, 0.8], [0.6, 0.4]])
    agreed = agreement(own, own)
    assert (agreed.kl, agreed.top1) == (0.0, 1.0)


def test_the_divergence_goes_from_the_own_cache_to_the_restored_one() -> None:
    own, restored = log_probabilities([[0.25, 0.75], [0.5, 0.5]]), log_probabilities([[0.5, 0.5], [0.5, 0.5]])
    agreed = agreement(own, restored)
    assert agreed.kl == pytest.approx((0.25 * np.log(0.5) + 0.75 * np.log(1.5)) / 2, rel=1e-5)
    assert agreed.kl != pytest.approx(agreement(restored, own).kl, rel=1e-3)


def test_top1_is_the_share_of_tokens_with_the_same_favourite() -> None:
    own, restored = log_probabilities([[0.1, 0.9]] * 4), log_probabilities([[0.1, 0.9]] * 3 + [[0.9, 0.1]])
    assert agreement(own, restored).top1 == 0.75


def test_a_restored_cache_is_read_at_the_same_positions_as_the_models_own(tiny) -> None:
    ids = tiny.encode("a cache of tokens, layer by layer, head by head").ids
    window = Window("", ids[:30], ids[30:])
    rows = tiny.capture(window.context)
    read = tiny.log_probabilities(tiny.prefill(window.context), window.continuation, first_position=len(rows))
    own = reference(tiny, rows, window)
    np.testing.assert_allclose(own, read, atol=1e-4)
    noise = np.random.default_rng(0).normal(size=rows.shape).astype("f4") * np.abs(rows).mean()
    small, large = (agreement(own, reference(tiny, rows + size * noise, window)).kl for size in (0.01, 0.3))
    assert 0 < small < large
