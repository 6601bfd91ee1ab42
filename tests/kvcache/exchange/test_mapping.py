import numpy as np
import pytest

from kvcache.exchange.mapping import open_map
from latentmas.protocol.errors import DimensionMismatch


def test_alignment_is_the_formula_of_the_specification() -> None:
    generator = np.random.default_rng(1)
    shapes = {"encoder": (6, 3), "decoder": (3, 4), "source_mean": (6,), "target_mean": (4,)}
    arrays = {name: generator.normal(size=shape).astype("f4") for name, shape in shapes.items()}
    arrays |= {"source_scale": np.full(6, 2.0, "f4"), "target_scale": np.full(4, 3.0, "f4")}
    rows = generator.normal(size=(70, 6)).astype("f4")
    expected = (rows - arrays["source_mean"]) / 2 @ arrays["encoder"] @ arrays["decoder"] * 3 + arrays["target_mean"]
    before = rows.copy()
    np.testing.assert_allclose(open_map(arrays).apply(rows), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(rows, before)


def test_alignment_refuses_rows_of_another_width() -> None:
    arrays = {"encoder": np.ones((6, 1)), "decoder": np.ones((1, 4))}
    arrays |= {f"source_{part}": np.ones(6) for part in ("mean", "scale")}
    arrays |= {f"target_{part}": np.ones(4) for part in ("mean", "scale")}
    with pytest.raises(DimensionMismatch, match=r"takes \[tokens, 6\]"):
        open_map(arrays).apply(np.ones((2, 5)))
