"""A kernel run tile by tile gives what it gives at once, at few compiled shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kvcache.kernels.tiles import PADDED_TO, TILE, in_tiles, product, tiles

compiled: set[tuple[int, ...]] = set()


@jax.jit
def scaled(rows: jax.Array, factors: jax.Array) -> jax.Array:
    compiled.add(rows.shape)  # runs only while it is traced
    return jnp.cumsum(rows, axis=1) * factors[:, None]


@pytest.mark.parametrize("tokens", [1, 2, PADDED_TO, 255, 257, 600, TILE - 1, TILE, TILE + 1])
def test_tiles_are_put_together_without_their_padding(tokens: int) -> None:
    generator = np.random.default_rng(tokens)
    rows, factors = generator.normal(size=(tokens, 5)).astype("f4"), generator.normal(size=tokens).astype("f4")
    found = in_tiles(scaled, rows, factors)
    assert found.shape == (tokens, 5)
    np.testing.assert_allclose(found, rows.cumsum(1) * factors[:, None], rtol=1e-5, atol=1e-5)


def test_tokens_may_lie_on_a_later_axis() -> None:
    array, factors = np.random.default_rng(1).normal(size=(2, TILE + 70, 3)).astype("f4"), np.arange(TILE + 70.0)
    found = in_tiles(lambda tile, by: tile * by[None, :, None], array, factors, axis=1)
    np.testing.assert_allclose(found, array * factors[None, :, None], rtol=1e-6)


def test_every_length_uses_one_of_few_compiled_shapes() -> None:
    for tokens in (1, 2, 30, 64, 65, TILE - 1, 3 * TILE + 7):
        in_tiles(scaled, np.ones((tokens, 5), "f4"), np.ones(tokens, "f4"))
    assert compiled <= {(size, 5) for size in range(PADDED_TO, TILE + 1, PADDED_TO)}


@pytest.mark.parametrize("tokens", [0, 1, TILE - 1, TILE + 60, 3 * TILE + 7])
def test_tiles_are_even_and_cover_all_tokens(tokens: int) -> None:
    found = list(tiles(tokens))
    assert [token for tile in found for token in range(tile.start, tile.stop)] == list(range(tokens))
    lengths = [tile.stop - tile.start for tile in found]
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= 1.5 * TILE
    assert tokens < TILE or min(lengths) >= TILE / 2


@pytest.mark.parametrize("on_device", [False, True])
def test_a_product_may_be_written_into_a_part_of_an_array(on_device: bool) -> None:
    rows, matrix = (np.random.default_rng(seed).normal(size=(5, 5)).astype("f4") for seed in range(2))
    whole = np.zeros((5, 8), "f4")
    product(rows, jnp.asarray(matrix) if on_device else matrix, into=whole[:, 3:])
    np.testing.assert_allclose(whole, np.pad(rows @ matrix, ((0, 0), (3, 0))), rtol=1e-5, atol=1e-6)
