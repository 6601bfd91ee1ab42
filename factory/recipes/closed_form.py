"""The closed form of a pair: the map from one part of the calibration documents, its correction from the other."""

from collections.abc import Mapping

from awareness_sdk.first_layer import known_layers
from factory.alignment.correction import fit_correction
from factory.alignment.fit import LinearMap, fit_linear_map
from factory.corpora import Split
from factory.packs.pack import OpenedPack
from factory.packs.pairs import Keep, Part, paired_documents, paired_rows
from factory.progress import Progress
from factory.recipes.assembly import RIDGE
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Method

Packs = tuple[OpenedPack, OpenedPack]  # of the source and of the target


def fit_map(packs: Packs, *, rank: int, method: Method, progress: Progress, keep: Keep = Part.WHOLE.holds) -> LinearMap:
    """Return the map of the documents that `keep` wants. Raises as `fit_linear_map` does."""
    return fit_linear_map(
        lambda: paired_rows(*packs, Split.CALIBRATION, _both(Part.MAP.holds, keep)),
        penalty=RIDGE,
        rank=rank,
        method=method,
        progress=progress,
    )


def fit_its_correction(packs: Packs, arrays: Mapping[str, Array], *, keep: Keep = Part.WHOLE.holds) -> dict[str, Array]:
    """Return the correction of a map's arrays, from documents that `keep` wants and the map has not seen."""
    documents = paired_documents(*packs, Split.CALIBRATION, _both(Part.CORRECTION.holds, keep))
    return fit_correction(documents, arrays, width=known_width(packs[1]))


def known_width(target: OpenedPack) -> int:
    """Return the width of the target's first layers that a receiver computes."""
    geometry = target.of_cache()[0]
    return known_layers(geometry) * geometry.layer_width


def _both(one: Keep, other: Keep) -> Keep:
    return lambda digest: one(digest) and other(digest)
