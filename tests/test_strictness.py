"""JAX refuses in every test what it would otherwise settle in silence: other types, and other numbers of axes."""

import jax.numpy as jnp
import pytest
from jax.dtypes import TypePromotionError


def test_numbers_of_other_types_are_not_mixed() -> None:
    with pytest.raises(TypePromotionError, match="strict"):
        jnp.arange(3) * jnp.ones(3, jnp.float32)


def test_axes_are_not_added() -> None:
    with pytest.raises(ValueError, match="rank_promotion"):
        jnp.ones((2, 3)) + jnp.ones(3)
