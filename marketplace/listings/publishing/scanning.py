"""The structural scan of a file that a seller sent: is it a W-Matrix between these models, and can it be one at all?

It runs no model. Whether the sinks in the file are the models' own needs their weights: that is the certifier's to
check, as is every figure.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kvcache.server.queries import get_adapter
from latentmas.protocol.eight_bit import matrix_of
from latentmas.protocol.errors import LatentMASError
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Method, Space, WMatrix, WMatrixDocument, read_w_matrix
from latentmas.registry.models import RegisteredModel
from latentmas.registry.queries import get_model

CONDITION = 1e6  # largest singular value over the smallest: beyond it, float32 leaves nothing of some direction
ORTHOGONAL = 0.005  # how far a Gram matrix may be from a multiple of the identity; 8 bits take 0.0004 of it
SCALES = (1e-8, 1e6)  # standard deviations of features and latents
MEANS = 1e6
GRAM_COLUMNS = 4096  # of wider factors the Gram matrix would need gigabytes: its columns are looked at alone
ROWS = 4096  # read of a factor at a time


def scan_file(path: Path, *, source_model: str, target_model: str, space: Space, max_bytes: int) -> tuple[str, ...]:
    """Return what speaks against a W-Matrix file between two registered models, in sentences; nothing where it passes.

    Raises ModelNotSupported for a model that is not in the registry.
    """
    source, target = get_model(source_model), get_model(target_model)
    try:
        w_matrix = read_w_matrix(path, max_bytes=max_bytes)  # its header, shapes, finiteness and positive scales
    except LatentMASError as error:
        return (error.message,)
    document = w_matrix.document
    claims = [*_claims(document, source.name, target.name, space)]
    if claims:
        return tuple(claims)
    return (*_shapes(document, source, target), *_numbers(w_matrix), *_factors(w_matrix))


def _claims(document: WMatrixDocument, source: str, target: str, space: Space) -> Iterator[str]:
    due = {"source_model": source, "target_model": target, "space": space}
    for name, wanted in due.items():
        if (came := getattr(document, name)) != wanted:
            yield f"the file's {name} is {came}; that of its listing is {wanted}"


def _shapes(document: WMatrixDocument, source: RegisteredModel, target: RegisteredModel) -> Iterator[str]:
    """Compare with what the registry knows of the models; what it does not know speaks against nothing."""
    for side, model in (("source", source), ("target", target)):
        dimension: int = getattr(document, f"{side}_dimension")
        if document.space is not Space.KV_CACHE:
            width, what = model.shape.hidden_size, "hidden size"
        else:
            width, what = model.kv_width, "cache's width"
        if width not in (None, dimension):
            yield f"{side}_dimension is {dimension}; the {what} of {model.name} is {width}"
        geometry = getattr(document, f"{side}_geometry")
        if geometry is not None and document.space is Space.KV_CACHE and model.has_kv_cache:
            try:
                get_adapter(model.name).require_geometry(geometry, of=f"the {side}")
            except LatentMASError as error:
                yield error.message


def _numbers(w_matrix: WMatrix) -> Iterator[str]:
    low, high = SCALES
    for name in ("source_scale", "target_scale", "latent_scale"):
        if (scale := w_matrix.arrays.get(name)) is not None and not (low <= scale.min() and scale.max() <= high):
            yield f"{name} lies between {scale.min():.3g} and {scale.max():.3g}; plausible are {low:.0e} to {high:.0e}"
    for name in ("source_mean", "target_mean"):
        if (furthest := float(np.abs(w_matrix.arrays[name]).max())) > MEANS:
            yield f"{name} reaches {furthest:.3g}; plausible is up to {MEANS:.0e}"
    for name in ("source_bos", "target_bos"):
        if (sink := w_matrix.arrays.get(name)) is not None and not sink.any():
            yield f"{name} is zero everywhere; no model's attention sink is"


def _factors(w_matrix: WMatrix) -> Iterator[str]:
    """Look at encoder `[ds, du]` and decoder `[du, dt]`: dead latents, conditioning, orthogonality where claimed."""
    for name, factor in (("encoder", matrix_of(w_matrix.arrays, "encoder")), ("decoder", _decoder(w_matrix))):
        lengths = np.sqrt(_squares(factor))
        if dead := int(np.count_nonzero(lengths == 0)):
            yield f"{dead} of the {len(lengths)} latents are zero everywhere in the {name}"
            continue
        if factor.shape[1] > GRAM_COLUMNS:
            condition = float(lengths.max() / lengths.min())
        else:
            gram = _gram(factor) / np.square(lengths.max())
            values = np.linalg.eigvalsh(gram)
            condition = float(np.sqrt(values[-1] / max(values[0], np.finfo(np.float64).tiny)))
            if w_matrix.document.method is Method.ORTHOGONAL and (off := _from_orthogonal(gram)) > ORTHOGONAL:
                yield f"the method is orthogonal, but the {name}'s directions are {off:.3f} away from it"
        if condition > CONDITION:
            yield f"the {name}'s condition number is {condition:.1e}; more than {CONDITION:.0e} is numerically singular"


def _decoder(w_matrix: WMatrix) -> Array:
    return matrix_of(w_matrix.arrays, "decoder").T


def _squares(factor: Array) -> Array:
    """Return the squared length of each column in float64, a slice of rows at a time."""
    return np.asarray(sum(np.square(part.astype(np.float64)).sum(axis=0) for part in _slices(factor)))


def _gram(factor: Array) -> Array:
    """Return the Gram matrix of the columns `[du, du]` in float64, a slice of rows at a time."""
    return np.asarray(sum(part.T @ part for part in (each.astype(np.float64) for each in _slices(factor))))


def _slices(factor: Array) -> Iterator[Array]:
    return (factor[at : at + ROWS] for at in range(0, len(factor), ROWS))


def _from_orthogonal(gram: Array) -> float:
    """Return how far a Gram matrix is from a multiple of the identity, relative to it."""
    scale = float(np.trace(gram)) / len(gram)
    return float(np.abs(gram / scale - np.eye(len(gram))).max())
