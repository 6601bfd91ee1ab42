"""The codec profile: calibrated parameters of one model's transform code (a safetensors file, downloaded once).

Per layer group: mean, sensitivity weights and a basis of the weighted rows' leading directions. For all groups: frozen
tables of symbol frequencies, the offsets of reconstructed values towards zero, each token's sensitivity by recency, and
the model's constant BOS row. Its identity is the SHA-256 of the file, kept outside it.
"""

import functools as ft
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np

from kvcache.coding.entropy import MAX_TOTAL
from kvcache.kernels.coefficient_classes import CLASSES
from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Corpus
from latentmas.protocol.snapshot import SnapshotFrame
from latentmas.protocol.tensors import Array
from latentmas.protocol.versions import parse_version

KIND = "codec-profile"
MAX_BYTES = 8 << 30
SHARED_TENSORS = ("frequencies", "limits", "shrink", "recency", "bos")
GROUP_TENSORS = ("mean", "weight", "basis", "basis_scale", "levels", "importance")

Scope = Literal["all", "full-attention"]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One step of the code, measured on the selection documents: ratio against float16, KL in nats, top-1 agreement.

    `distortion` is the mean weighted error per token that predicts the KL.
    """

    step: int  # sixteenths of an octave
    ratio: float
    kl: float
    top1: float
    distortion: float


@dataclass(frozen=True, slots=True)
class ProfileDocument:
    """The document in a profile's file. Raises InvalidInput for contradictions.

    `kl_per_distortion` is the highest ratio of KL to distortion met on the selection documents at any step.
    """

    kind: str
    version: str
    model: str
    weights: str
    geometry: KVGeometry
    corpus: Corpus
    tokens: int  # calibrated on
    scopes: tuple[Scope, ...]  # of each group
    layers: tuple[tuple[int, ...], ...]  # of each group
    kl_per_distortion: float | None
    curve: tuple[CurvePoint, ...]
    judged: int = 0  # documents that the curve was measured on

    def __post_init__(self) -> None:
        if self.kind != KIND:
            raise InvalidInput(f"this is no codec profile: its kind is {self.kind!r}", field="profile")
        parse_version(self.version)
        if len(self.scopes) != len(self.layers):
            raise InvalidInput("a codec profile must name one scope for each of its layer groups", field="profile")
        wanted: dict[str, Sequence[int]] = {"all": range(self.geometry.layers)}
        full = [layer for layer, window in enumerate(self.geometry.windows) if window is None]
        if len(full) < self.geometry.layers:
            wanted["full-attention"] = full
        for scope in {*wanted, *self.scopes}:
            named = [
                layer for each, group in zip(self.scopes, self.layers, strict=True) if each == scope for layer in group
            ]
            if sorted(named) != sorted(wanted.get(scope, ())):
                raise InvalidInput(f"the groups of scope {scope!r} must hold each of its layers once", field="profile")


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The transform of some layers' rows `[tokens, width]`: `((rows - mean) * weight) @ basis`."""

    scope: Scope
    layers: tuple[int, ...]
    mean: Array  # float32 [width]
    weight: Array  # float32 [width], above 0: square root of the sensitivity
    basis: Array  # int8 [width, rank], times basis_scale
    basis_scale: Array  # float16 [blocks, rank], a block being BASIS_BLOCK rows
    levels: Array  # int16 [rank]: 16 * log2 of each coefficient's standard deviation, non-increasing
    importance: Array  # float32 [width]: weighted row @ importance is added to the token's log-sensitivity

    @property
    def rank(self) -> int:
        return len(self.levels)


@dataclass(frozen=True, slots=True, eq=False)
class OpenedProfile:
    """A profile in memory: every tensor read and checked."""

    digest: str
    size: int  # bytes of the file
    document: ProfileDocument
    groups: tuple[Group, ...]
    frequencies: Array  # int32 [classes, symbols]: see `kvcache.kernels.coefficient_classes`
    limits: Array  # int32 [classes]: largest magnitude with a symbol of its own
    shrink: Array  # float32 [classes, 2]: offset of decoded values towards zero, in steps: at magnitude 1, and above
    recency: Array  # float32 [bins]: log-sensitivity by log2 of the distance to the context's end, two bins an octave
    bos: Array  # float16 [width]: the constant row of the BOS token

    @property
    def model(self) -> str:
        return self.document.model

    @property
    def weights(self) -> str:
        return self.document.weights

    @property
    def version(self) -> str:
        return self.document.version

    @property
    def geometry(self) -> KVGeometry:
        return self.document.geometry

    def accept(self, frame: SnapshotFrame) -> None:
        """Raise InvalidInput for a snapshot of another model, other weights or another geometry."""
        for name in ("model", "weights"):
            given, allowed = getattr(frame, name), getattr(self, name)
            if given != allowed:
                raise InvalidInput(
                    f"the codec profile is of the {name} {allowed!r}; the snapshot's {name} is {given!r}",
                    resolution="Give the profile that was calibrated on the very weights that made the snapshot.",
                    field="profile",
                )
        if self.geometry != frame.geometry:
            raise InvalidInput(
                f"the codec profile is for {self.geometry}; the snapshot has {frame.geometry}", field="profile"
            )

    def groups_for(self, layers: Sequence[int]) -> tuple[Group, ...]:
        """Return the groups whose layers are exactly those given. Raises InvalidInput where there are none."""
        for scope in dict.fromkeys(self.document.scopes):
            groups = tuple(group for group in self.groups if group.scope == scope)
            if sorted(layer for group in groups for layer in group.layers) == sorted(layers):
                return groups
        raise InvalidInput(
            f"some tokens are held by {len(layers)} of {self.geometry.layers} layers; the codec profile has bases for "
            f"the layers of its scopes {', '.join(dict.fromkeys(self.document.scopes))} only",
            field="starts",
        )


def write_profile(file: BinaryIO, document: ProfileDocument, groups: Sequence[Group], shared: dict[str, Array]) -> None:
    """Write a profile; the same input gives the same bytes."""
    arrays = {f"{number}.{name}": getattr(group, name) for number, group in enumerate(groups) for name in GROUP_TENSORS}
    body: Any = plain(document)
    tensors.write(file, arrays | {name: shared[name] for name in SHARED_TENSORS}, body)


@ft.lru_cache(maxsize=4)
def open_profile(path: Path, *, max_bytes: int = MAX_BYTES) -> OpenedProfile:
    """Return the profile in a file; cached by path, so the file must not change. Raises InvalidInput or TooLarge."""
    opened = tensors.open_tensors(path, max_bytes=max_bytes)
    try:
        document = msgspec.convert(opened.document, ProfileDocument, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the codec profile's document is malformed: {error}", field="profile") from error
    wanted = {f"{number}.{name}" for number in range(len(document.layers)) for name in GROUP_TENSORS}
    if unlike := sorted((wanted | set(SHARED_TENSORS)) ^ set(opened.tensors)):
        raise InvalidInput(f"the codec profile lacks or does not know the tensor {unlike[0]!r}", field="profile")
    groups = tuple(
        Group(scope, layers, *(opened.read(f"{number}.{name}") for name in GROUP_TENSORS))
        for number, (scope, layers) in enumerate(zip(document.scopes, document.layers, strict=True))
    )
    shared = {name: opened.read(name) for name in SHARED_TENSORS}
    for group in groups:
        _check_group(group, document.geometry)
    _check_shared(shared, document.geometry)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return OpenedProfile(f"sha256:{digest}", len(opened.data), document, groups, **shared)


def _check_group(group: Group, geometry: KVGeometry) -> None:
    """Raise InvalidInput for a layer group whose arrays do not fit each other or the geometry."""
    from kvcache.kernels.transform import BASIS_BLOCK  # not at the top: profiles are opened without JAX

    width, rank = len(group.layers) * geometry.layer_width, group.rank
    _require("mean", group.mean, "f4", (width,))
    _require("weight", group.weight, "f4", (width,))
    _require("basis", group.basis, "i1", (width, rank))
    _require("basis_scale", group.basis_scale, "f2", (-(-width // BASIS_BLOCK), rank))
    _require("levels", group.levels, "i2", (rank,))
    _require("importance", group.importance, "f4", (width,))
    if (group.weight <= 0).any() or (group.levels[1:] > group.levels[:-1]).any():
        raise InvalidInput("a codec profile's weights are above 0, and its levels never rise", field="profile")


def _check_shared(shared: dict[str, Array], geometry: KVGeometry) -> None:
    """Raise InvalidInput for shared tables that do not fit each other, the geometry or the entropy coder."""
    symbols = shared["frequencies"].shape[-1]
    _require("frequencies", shared["frequencies"], "i4", (CLASSES, symbols))
    _require("limits", shared["limits"], "i4", (CLASSES,))
    _require("shrink", shared["shrink"], "f4", (CLASSES, 2))
    _require("recency", shared["recency"], "f4", shared["recency"].shape[:1])
    _require("bos", shared["bos"], "f2", (geometry.width,))
    used = 2 * shared["limits"].astype(np.int64) + 2
    if used.min() < 4 or used.max() > symbols:
        raise InvalidInput("a codec profile's limits are at least 1 and within its frequencies", field="profile")
    counted = shared["frequencies"][np.arange(symbols)[None] < used[:, None]]
    if counted.min() < 1 or shared["frequencies"].sum(1, dtype=np.int64).max() > MAX_TOTAL:
        raise InvalidInput(f"a codec profile's frequencies are 1 to {MAX_TOTAL} in all", field="profile")


def _require(name: str, array: Array, dtype: str, shape: tuple[int, ...]) -> None:
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        raise InvalidInput(f"the codec profile's {name} is {array.dtype} {array.shape}, not {shape}", field="profile")
