"""What the arrays of a codec profile must be like for the coder to trust them."""

from typing import TYPE_CHECKING

import numpy as np

from kvcache.coding.coefficient_classes import CLASSES
from kvcache.coding.entropy import MAX_TOTAL
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from kvcache.coding.profile import Group


def check_group(group: "Group", geometry: KVGeometry) -> None:
    """Raise InvalidInput for a layer group whose arrays do not fit each other or the geometry."""
    from kvcache.kernels.transform import BASIS_BLOCK  # not at the top: profiles are opened without JAX

    width, rank = len(group.layers) * geometry.layer_width, group.rank
    blocks = -(-width // BASIS_BLOCK)
    shapes = {"mean": (width,), "weight": (width,), "basis": (width, rank), "basis_scale": (blocks, rank)}
    types = {"mean": "f4", "weight": "f4", "basis": "i1", "basis_scale": "f2", "levels": "i2", "importance": "f4"}
    for name, shape in (shapes | {"levels": (rank,), "importance": (width,)}).items():
        array = getattr(group, name)
        if array.shape != shape or array.dtype != np.dtype(types[name]):
            raise InvalidInput(
                f"the codec profile's {name} is {array.dtype} {array.shape}, not {shape}", field="profile"
            )
    if (group.weight <= 0).any() or (group.levels[1:] > group.levels[:-1]).any():
        raise InvalidInput("a codec profile's weights are above 0, and its levels never rise", field="profile")


def check_shared(shared: dict[str, Array], geometry: KVGeometry) -> None:
    """Raise InvalidInput for shared tables that do not fit each other, the geometry or the entropy coder."""
    symbols = shared["frequencies"].shape[-1]
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {
        "frequencies": ("i4", (CLASSES, symbols)),
        "limits": ("i4", (CLASSES,)),
        "shrink": ("f4", (CLASSES, 2)),
        "recency": ("f4", shared["recency"].shape[:1]),
        "bos": ("f2", (geometry.width,)),
    }
    for name, (dtype, shape) in wanted.items():
        array = shared[name]
        if array.dtype != np.dtype(dtype) or array.shape != shape:
            raise InvalidInput(
                f"the codec profile's {name} is {array.dtype} {array.shape}, not {shape}", field="profile"
            )
    used = 2 * shared["limits"].astype(np.int64) + 2
    if used.min() < 4 or used.max() > symbols:
        raise InvalidInput("a codec profile's limits are at least 1 and within its frequencies", field="profile")
    counted = shared["frequencies"][np.arange(symbols)[None] < used[:, None]]
    if counted.min() < 1 or shared["frequencies"].sum(1, dtype=np.int64).max() > MAX_TOTAL:
        raise InvalidInput(f"a codec profile's frequencies are 1 to {MAX_TOTAL} in all", field="profile")
