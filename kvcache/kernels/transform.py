"""The transform code's arithmetic: its basis, its dead-zone quantiser, and what a step would cost.

`steps` are whole numbers, sixteenths of an octave (see `kvcache.kernels.coefficient_classes`), one per token.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Int8

from kvcache.kernels.coefficient_classes import CLASS_UNITS, COARSE, LOWEST, UNITS

BASIS_BLOCK = 64  # rows with a scale of their own; directions are often concentrated in few heads
DEAD_ZONE = 0.6  # a magnitude is rounded up from this fraction on (0.5: plain rounding)
LARGEST = 2.0**30  # magnitude of a symbol, which is int32


@jax.jit
def dequantise_basis(
    basis: Int8[Array, "width rank"], scale: Float[Array, "blocks rank"]
) -> Float[Array, "width rank"]:
    """Return the basis: each column's blocks of `BASIS_BLOCK` rows have a scale of their own."""
    rows = jnp.repeat(scale.astype(jnp.float32), BASIS_BLOCK, axis=0)[: basis.shape[0]]
    return basis.astype(jnp.float32) * rows


@jax.jit
def quantise(coefficients: Float[Array, "tokens rank"], steps: Int[Array, " tokens"]) -> Int[Array, "tokens rank"]:
    """Return whole multiples of each token's step, with a dead zone around zero."""
    scaled = coefficients * jnp.exp2(-_octaves(steps))
    magnitude = jnp.minimum(jnp.floor(jnp.abs(scaled) + (1.0 - DEAD_ZONE)), LARGEST)
    return (jnp.sign(scaled) * magnitude).astype(jnp.int32)


@jax.jit
def dequantise(
    symbols: Int[Array, "tokens rank"],
    steps: Int[Array, " tokens"],
    levels: Int[Array, " rank"],
    shrink: Float[Array, "classes 2"],
) -> Float[Array, "tokens rank"]:
    """Return the decoded coefficients: whole steps, moved towards zero by the class's `shrink`; zero stays zero."""
    magnitude = jnp.abs(symbols)
    towards_zero = shrink[_classes(levels, steps, len(shrink)), jnp.clip(magnitude, 1, 2) - 1]
    restored = jnp.sign(symbols).astype(jnp.float32) * (magnitude.astype(jnp.float32) - towards_zero)
    return jnp.where(magnitude == 0, 0.0, restored * jnp.exp2(_octaves(steps)))


@jax.jit
def cost(
    coefficients: Float[Array, "tokens rank"],
    steps: Int[Array, " tokens"],
    levels: Int[Array, " rank"],
    bits: Float[Array, "classes symbols"],
) -> tuple[Float[Array, ""], Float[Array, " tokens"]]:
    """Return the code's length in bits, and the squared error within the basis of each token's weighted row.

    The middle column of `bits` is what a zero costs, the outermost ones are for all symbols beyond.
    """
    coded = levels[None] - steps[:, None] >= LOWEST
    classes = _classes(levels, steps, len(bits))
    shift = jnp.maximum(0, (LOWEST + classes * CLASS_UNITS - COARSE) // UNITS + 1)
    symbols = jnp.where(coded, quantise(coefficients, steps), 0)
    most = bits.shape[1] // 2
    length = jnp.sum(jnp.where(coded, bits[classes, jnp.clip(symbols >> shift, -most, most) + most], 0.0))
    restored = symbols.astype(jnp.float32) * jnp.exp2(_octaves(steps))
    return length, jnp.sum((coefficients - restored) ** 2, axis=1)


def _octaves(steps: Int[Array, " tokens"]) -> Float[Array, "tokens 1"]:
    return steps[:, None].astype(jnp.float32) / float(UNITS)


def _classes(levels: Int[Array, " rank"], steps: Int[Array, " tokens"], count: int) -> Int[Array, "tokens rank"]:
    """Return each coefficient's class as `kvcache.kernels.coefficient_classes` has it, 0 for what is not coded."""
    return jnp.clip((levels[None] - steps[:, None] - LOWEST) // CLASS_UNITS, 0, count - 1)
