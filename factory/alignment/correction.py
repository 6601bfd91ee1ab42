"""Fit how the innovation of a target's first layers corrects the prediction of the other layers.

How it is used: `kvcache.exchange.mapping`. This is reduced-rank ridge (Izenman 1975) of a W-Matrix's residuals on
the innovations of a token and of the one before it. The residuals must be those of text that the map has not seen
(`LinearMap.unseen`), as a receiver's will be.

The same fit without any W-Matrix is the *tokens-only* control: what the first layers alone tell of the others.
"""

from collections.abc import Iterable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from factory.alignment import ridge
from factory.alignment.standardise import Standard
from kvcache.exchange.mapping import lagged
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION

# Chosen on selection documents. A low rank loses most of the gain, since the correction depends on which token it was.
LAGS = 2  # tokens whose innovations are used: its own and that of the token before
RANK = 512
PENALTY = 0.03  # on the Gram matrix of standardised innovations
BLOCK_ROWS = 2048


def fit_correction(residuals: Iterable[Array], *, width: int, rank: int = RANK) -> dict[str, Array]:
    """Return `correction_encoder` `[LAGS, width, rank]` and `correction_decoder` `[rank, dt]`, float16.

    `residuals` are the standardised `[n, dt]` of each document in the order of its text; `width` is that of the
    target's first layers that the receiver knows, whose own columns need no correction. Raises InvalidInput without
    rows.
    """
    encoder, decoder = _fitted(residuals, width, rank)
    return dict(zip(CORRECTION, (encoder.astype(np.float16), decoder.astype(np.float16)), strict=True))


def fit_tokens_only(rows: Iterable[Array], *, standard: Standard, width: int) -> dict[str, Array]:
    """Return the tokens-only control: the correction's two arrays, float32, with the target's mean and scale.

    `rows` are the target's `[n, dt]`, document by document.
    """
    encoder, decoder = _fitted((standard.apply(each) for each in rows), width, RANK)
    arrays = dict(zip(CORRECTION, (encoder.astype(np.float32), decoder.astype(np.float32)), strict=True))
    return arrays | {"target_mean": standard.mean, "target_scale": standard.scale}


def rows_from_tokens(arrays: Mapping[str, Array], rows: Array) -> Array:
    """Return the target's rows `[n, dt]` as the control predicts them from the first layers in its own rows `[n, dt]`.

    The first layers stay as they are.
    """
    encoder, decoder = (arrays[rule] for rule in CORRECTION)
    lags, width, rank = encoder.shape
    standard = Standard(arrays["target_mean"], arrays["target_scale"])
    known = lagged(np.ascontiguousarray(standard.apply(rows)[:, :width]), lags)
    predicted = known @ encoder.reshape(lags * width, rank) @ decoder * standard.scale + standard.mean
    predicted[:, :width] = rows[:, :width]
    return np.asarray(predicted, np.float32)


def _fitted(documents: Iterable[Array], width: int, rank: int) -> tuple[Array, Array]:
    """Return encoder `[LAGS, width, r]` and decoder `[r, dt]` that predict standardised residuals `[n, dt]`."""
    features = LAGS * width
    gram, cross, rows = np.zeros((features, features)), None, 0
    for innovations, unknown in _blocks(documents, width):
        gram += innovations.T @ innovations
        product = innovations.T @ unknown
        cross = product if cross is None else np.add(cross, product, out=cross)
        rows += len(innovations)
    if cross is None or not cross.any():
        raise InvalidInput("there are no paired documents with anything to correct")
    with jax.enable_x64(True):
        lower = ridge.factor(jnp.asarray(gram / rows), PENALTY).astype(np.float32)
        whitened = ridge.whiten(lower, jnp.asarray(cross / rows))
        directions = ridge.leading_directions(whitened, rank=min(rank, *cross.shape))
        encoder = np.asarray(ridge.encode(lower, whitened, directions))
    # Both factors are stored in half precision: equal norms give them the same exponent range.
    balance = np.sqrt(np.linalg.norm(encoder, axis=0) + np.finfo(np.float32).tiny)
    return (encoder / balance).reshape(LAGS, width, -1), (np.asarray(directions) * balance).T


def _blocks(documents: Iterable[Array], width: int) -> Iterator[tuple[Array, Array]]:
    """Yield innovations `[n, LAGS * width]` and residuals to predict `[n, dt]`, of several documents at a time.

    The products of single documents would cost more in memory traffic than in arithmetic.
    """
    pending: list[tuple[Array, Array]] = []
    for residuals in documents:
        unknown = residuals.copy()
        unknown[:, :width] = 0.0
        pending.append((lagged(np.ascontiguousarray(residuals[:, :width]), LAGS), unknown))
        if sum(len(each) for each, _ in pending) >= BLOCK_ROWS:
            yield _joined(pending)
            pending = []
    if pending:
        yield _joined(pending)


def _joined(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    innovations, unknown = (np.concatenate(side) for side in zip(*parts, strict=True))
    return innovations, unknown
