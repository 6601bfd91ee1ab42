import numpy as np
import pytest

from kvcache.kernels.rotary import frequencies, rotate, rotated
from kvcache.rows import pack_rows, unpack_rows
from latentmas.protocol.geometry import KVGeometry

GEOMETRY = KVGeometry(
    layers=3, heads=2, head_dim=8, rotary_dim=8, thetas=(10_000.0, 1e6, 10_000.0), windows=(4, None, 4)
)


def cache(tokens: int, geometry: KVGeometry = GEOMETRY) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(tokens)
    shape = (geometry.layers, tokens, geometry.heads, geometry.head_dim)
    return generator.normal(size=shape).astype("f4"), generator.normal(size=shape).astype("f4")


def rotated_by_hand(key: np.ndarray, position: int, theta: float, rotary_dim: int) -> np.ndarray:
    """RoPE of one head at one position, written as the paper's 2 x 2 rotations."""
    turned = key.astype(np.float64).copy()
    half = rotary_dim // 2
    for pair in range(half):
        angle = position / theta ** (2 * pair / rotary_dim)
        first, second = key[pair], key[pair + half]
        turned[pair] = first * np.cos(angle) - second * np.sin(angle)
        turned[pair + half] = first * np.sin(angle) + second * np.cos(angle)
    return turned


@pytest.mark.parametrize("rotary_dim", [8, 4])
def test_keys_are_rotated_as_the_paper_says(rotary_dim: int) -> None:
    keys, _ = cache(5)
    frequency = np.stack([frequencies(theta, rotary_dim) for theta in GEOMETRY.thetas])
    turned = np.asarray(rotate(keys, np.arange(5), frequency))
    for layer, theta in enumerate(GEOMETRY.thetas):
        for position in range(5):
            expected = rotated_by_hand(keys[layer, position, 1], position, theta, rotary_dim)
            np.testing.assert_allclose(turned[layer, position, 1], expected, atol=1e-6)


@pytest.mark.parametrize("inverse", [False, True])
def test_arrays_are_rotated_as_the_compiled_kernel_does(inverse: bool) -> None:
    keys, _ = cache(5)
    frequency, positions = (
        np.stack([frequencies(theta, 8) for theta in GEOMETRY.thetas]),
        np.array([0, 3, 9, 700, 1023]),
    )
    expected = rotate(keys, positions, frequency, inverse=inverse)
    np.testing.assert_allclose(rotated(keys, positions, geometry=GEOMETRY, inverse=inverse), expected, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 2, 63, 64, 65, 200, 1030])
def test_a_cache_survives_being_packed_and_unpacked(tokens: int) -> None:
    keys, values = cache(tokens)
    rows = pack_rows(keys, values, geometry=GEOMETRY, positions=np.arange(7, 7 + tokens))
    assert rows.shape == (tokens, GEOMETRY.width)
    again, same = unpack_rows(rows, geometry=GEOMETRY, positions=np.arange(7, 7 + tokens))
    np.testing.assert_allclose(again, keys, atol=2e-6)
    np.testing.assert_array_equal(same, values)


def test_rows_hold_the_keys_of_a_layer_before_its_values() -> None:
    keys, values = cache(2)
    row = pack_rows(keys, values, geometry=GEOMETRY)[0]  # position 0: the rotation is the identity
    np.testing.assert_allclose(row[:16], keys[0, 0].reshape(-1), atol=1e-6)
    np.testing.assert_array_equal(row[16:32], values[0, 0].reshape(-1))


def test_a_model_without_rotation_keeps_its_keys() -> None:
    plain = KVGeometry(layers=1, heads=1, head_dim=4, rotary_dim=0, thetas=(1.0,), windows=(None,))
    keys, values = cache(3, plain)
    np.testing.assert_array_equal(pack_rows(keys, values, geometry=plain)[:, :4], keys[0, :, 0])


def test_a_latent_cache_has_values_of_another_width_than_keys() -> None:
    latent = KVGeometry(2, 1, 4, 4, (10_000.0,) * 2, (None,) * 2, value_dim=6)
    generator = np.random.default_rng(0)
    keys, values = (generator.normal(size=(2, 5, 1, width)).astype("f4") for width in (4, 6))
    rows = pack_rows(keys, values, geometry=latent)
    assert rows.shape == (5, latent.width) == (5, 20)
    again, same = unpack_rows(rows, geometry=latent)
    np.testing.assert_allclose(again, keys, atol=1e-6)
    np.testing.assert_array_equal(same, values)
