"""The W-Matrix file: R^ds -> R^du -> R^dt between the KV spaces of two models (specification 4.3).

A safetensors file: an encoder `[ds, du]`, a decoder `[du, dt]`, mean and scale of each side, what the receiver needs of
the target, and the `WMatrixStandard` document. Its identity is the SHA-256 of its bytes, kept outside the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.eight_bit import MATRICES, scales_of
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.forecast import Forecast
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Basis, TokenMode
from latentmas.protocol.tensors import Array
from latentmas.protocol.versions import parse_version

PROTOCOL = "LatentMAS/2.0"
KIND = "w-matrix"
STANDARDS = (4096, 8192, 16384)  # declared ceilings of the unified dimension
MAX_BYTES = 4 << 30
REQUIRED = ("encoder", "decoder", "source_mean", "source_scale", "target_mean", "target_scale")
# Attention sinks: the target's goes in front of every memory, the source's tells whether a snapshot begins with it.
# `latent_scale` is the root mean square of each latent in calibration; the other scales belong to 8-bit matrices.
# A correction uses the target's tokens where they are known (`kvcache.exchange.mapping`).
CORRECTION = ("correction_encoder", "correction_decoder")
LAGGED_AXES = 3  # of a correction's encoder: [lags, width, r]; one of a single layer may be [lags * width, r]
OPTIONAL = ("target_bos", "source_bos", "latent_scale", "encoder_scale", "decoder_scale", *CORRECTION)


class Method(StrEnum):
    ORTHOGONAL = "orthogonal"
    LEARNED = "learned"
    HYBRID = "hybrid"


class Space(StrEnum):
    """What a W-Matrix maps."""

    KV_CACHE = "kv-cache"  # one token's whole cache
    EMBEDDING = "embedding"  # one vector of a passage (the vectors of version 1.0)
    REALIGNMENT = "realignment"  # a model's last hidden state, back into its own input-embedding space


class TokenAlignment(StrEnum):
    """Which source row a target row was paired with in calibration."""

    CAUSAL_SPANS = "causal-spans"  # the last source token that ends no later
    SAME_PASSAGE = "same-passage"  # vectors of the same passage
    SAME_TOKEN = "same-token"  # noqa: S105 - both vectors of one vocabulary entry
    NONE = "none"  # simulated rows, paired by construction


@dataclass(frozen=True, slots=True)
class QualityMetrics:
    """`qualityMetrics` of specification 4.3.3."""

    basis: Basis
    expected_quality: float  # retention where the target was run, information retention otherwise
    information_retention: float
    computational_cost: int  # multiply-adds per token


@dataclass(frozen=True, slots=True)
class Distribution:
    """Bounds on a whole document's distance, from calibration (`kvcache.exchange.quality` defines distances)."""

    low: float
    high: float
    documents: int


@dataclass(frozen=True, slots=True)
class WMatrixDocument:
    """`WMatrixStandard` (specification 4.3.3), the document in the file. Raises InvalidInput for contradictions."""

    version: str
    source_model: str
    target_model: str
    source_dimension: int
    unified_dimension: int
    target_dimension: int
    standard: int
    method: Method
    token_alignment: TokenAlignment
    transformation_rules: dict[str, str]  # rule -> name of its tensor
    quality_metrics: QualityMetrics
    source_weights: str | None = None  # sha256:<hex> of the weights; None where no weights were seen
    target_weights: str | None = None
    source_geometry: KVGeometry | None = None
    target_geometry: KVGeometry | None = None
    space: Space = Space.KV_CACHE
    distribution: Distribution | None = None
    forecasts: tuple[Forecast, ...] = ()  # at most one for each mode
    protocol: str = PROTOCOL
    kind: str = KIND

    def __post_init__(self) -> None:
        parse_version(self.version)
        if (self.protocol, self.kind) != (PROTOCOL, KIND):
            raise InvalidInput(f"this is a {self.kind!r} of {self.protocol!r}, not a {KIND!r} of {PROTOCOL!r}")
        _check_pair(self.source_model, self.target_model, self.space)
        if self.standard not in STANDARDS:
            raise InvalidInput(f"standard is {self.standard}; it must be one of {STANDARDS}", field="standard")
        if not 1 <= self.unified_dimension <= self.standard:
            raise InvalidInput(f"the unified dimension {self.unified_dimension} exceeds the standard {self.standard}")
        for side in ("source", "target"):
            geometry: KVGeometry | None = getattr(self, f"{side}_geometry")
            dimension: int = getattr(self, f"{side}_dimension")
            if geometry is not None and geometry.width != dimension:
                raise DimensionMismatch(f"{side}_dimension is {dimension}, but its geometry is {geometry.width} wide")

    def forecast(self, mode: TokenMode) -> Forecast | None:
        """Return the model of single memories' retention in a mode, None where the file has none."""
        return next((each for each in self.forecasts if each.mode is mode), None)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape every tensor must have."""
        source, unified, target = self.source_dimension, self.unified_dimension, self.target_dimension
        return {
            "encoder": (source, unified),
            "decoder": (unified, target),
            "source_mean": (source,),
            "source_scale": (source,),
            "target_mean": (target,),
            "target_scale": (target,),
            "target_bos": (target,),
            "source_bos": (source,),
            "latent_scale": (unified,),
            "encoder_scale": scales_of((source, unified)),
            "decoder_scale": scales_of((unified, target)),
        }

    def check_correction(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise InvalidInput or DimensionMismatch for a correction that lacks a part, or whose shapes do not fit."""
        present = [rule for rule in CORRECTION if rule in shapes]
        if not present:
            return
        if len(present) < len(CORRECTION) or self.target_geometry is None:
            raise InvalidInput(f"a correction needs {' and '.join(CORRECTION)} and the target's geometry")
        encoder, decoder = (shapes[rule] for rule in CORRECTION)
        width = self.target_geometry.layer_width
        fits = (
            len(encoder) in (2, 3)  # of two axes where one layer is known: [lags x width, rank]
            and all(encoder)
            and not encoder[-2] % width
            and (len(encoder) == 2 or encoder[1] < self.target_dimension)
            and decoder == (encoder[-1], self.target_dimension)
        )
        if not fits:
            raise DimensionMismatch(
                f"correction_encoder {encoder} and correction_decoder {decoder} must be [lags, n x {width}, rank], n "
                f"fewer than the target's layers, and [rank, {self.target_dimension}]",
                field=CORRECTION[0],
            )


@dataclass(frozen=True, slots=True)
class WMatrix:
    """A W-Matrix in memory. `arrays` holds every tensor that the document names, in the shapes it declares."""

    document: WMatrixDocument
    arrays: dict[str, Array]

    def write(self, file: BinaryIO) -> None:
        """Write the file. The same W-Matrix gives the same bytes."""
        document: Any = plain(self.document)
        tensors.write(file, self.arrays, document)


def corrected_layers(arrays: Mapping[str, Array], target: KVGeometry) -> int:
    """Return how many of the target's first layers a W-Matrix's correction takes; 0 without one."""
    encoder = arrays.get(CORRECTION[0])
    if encoder is None:
        return 0
    return encoder.shape[1] // target.layer_width if encoder.ndim == LAGGED_AXES else 1


def read_document(path: Path, *, max_bytes: int = MAX_BYTES) -> WMatrixDocument:
    """Return the checked document of a W-Matrix file without reading its arrays. Raises InvalidInput or TooLarge."""
    return _document_of(tensors.open_tensors(path, max_bytes=max_bytes))


def read_w_matrix(path: Path, *, max_bytes: int = MAX_BYTES) -> WMatrix:
    """Return a checked W-Matrix. Raises InvalidInput, DimensionMismatch or TooLarge."""
    file = tensors.open_tensors(path, max_bytes=max_bytes)
    document = _document_of(file)
    arrays = {rule: file.read(name) for rule, name in document.transformation_rules.items()}
    _check_scales(arrays)
    return WMatrix(document, arrays)


@dataclass(slots=True)
class WMatrixBuilder:
    """Collects the parts of a W-Matrix; each setter checks what it is given, `build` checks that nothing is missing."""

    fields: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)

    def set_version(self, version: str) -> "WMatrixBuilder":
        self.fields["version"] = str(parse_version(version))
        return self

    def set_models(
        self,
        source: str,
        target: str,
        *,
        source_weights: str | None = None,
        target_weights: str | None = None,
        space: Space = Space.KV_CACHE,
    ) -> "WMatrixBuilder":
        _check_pair(source, target, space)
        self.fields |= {"source_model": source, "target_model": target, "space": space}
        self.fields |= {"source_weights": source_weights, "target_weights": target_weights}
        return self

    def set_geometry(self, source: KVGeometry, target: KVGeometry) -> "WMatrixBuilder":
        self.fields |= {"source_geometry": source, "target_geometry": target}
        return self

    def set_method(self, method: Method, *, token_alignment: TokenAlignment) -> "WMatrixBuilder":
        self.fields |= {"method": method, "token_alignment": token_alignment}
        return self

    def set_distribution(self, distribution: Distribution) -> "WMatrixBuilder":
        self.fields["distribution"] = distribution
        return self

    def set_forecasts(self, forecasts: tuple[Forecast, ...]) -> "WMatrixBuilder":
        self.fields["forecasts"] = forecasts
        return self

    def set_weights(self, encoder: Array, decoder: Array, *, standard: int = STANDARDS[0]) -> "WMatrixBuilder":
        """Take the encoder `[ds, du]` and the decoder `[du, dt]`. Raises DimensionMismatch or InvalidInput."""
        if encoder.ndim != 2 or decoder.ndim != 2 or encoder.shape[1] != decoder.shape[0]:
            raise DimensionMismatch(f"an encoder {encoder.shape} does not fit a decoder {decoder.shape}")
        self.fields |= {"source_dimension": encoder.shape[0], "unified_dimension": encoder.shape[1]}
        self.fields |= {"target_dimension": decoder.shape[1], "standard": standard}
        return self.set_arrays(encoder=encoder, decoder=decoder)

    def set_arrays(self, **arrays: Array) -> "WMatrixBuilder":
        """Take further tensors by rule: means, scales and what the receiver needs of the target."""
        for name, array in arrays.items():
            if name not in REQUIRED + OPTIONAL:
                raise InvalidInput(f"{name!r} is no rule of a W-Matrix; known are {', '.join(REQUIRED + OPTIONAL)}")
            tensors.require_finite(name, array)
            self.arrays[name] = array
        return self

    def set_quality(self, metrics: QualityMetrics) -> "WMatrixBuilder":
        self.fields["quality_metrics"] = metrics
        return self

    def build(self) -> WMatrix:
        """Return the W-Matrix. Raises InvalidInput naming what is missing, DimensionMismatch for wrong shapes."""
        wanted = ("version", "source_model", "method", "encoder", "quality_metrics")
        missing = [name for name in wanted if name not in self.fields and name not in self.arrays]
        if missing := missing + [name for name in REQUIRED if name not in self.arrays and name not in missing]:
            raise InvalidInput(f"the W-Matrix lacks {', '.join(missing)}")
        document = WMatrixDocument(**self.fields, transformation_rules={name: name for name in sorted(self.arrays)})
        _check_shapes(document, {name: array.shape for name, array in self.arrays.items()})
        _check_scales(self.arrays)
        return WMatrix(document, dict(self.arrays))


def _document_of(file: tensors.TensorFile) -> WMatrixDocument:
    try:
        document = msgspec.convert(file.document, WMatrixDocument, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the W-Matrix document is malformed: {error}") from error
    unknown = set(file.document) - set(WMatrixDocument.__dataclass_fields__)
    if unknown:
        raise InvalidInput(f"the W-Matrix document has unknown fields: {', '.join(sorted(unknown))}")
    rules = document.transformation_rules
    if absent := [rule for rule in REQUIRED if rule not in rules]:
        raise InvalidInput(f"the transformation rules lack {', '.join(absent)}")
    if set(rules) - set(REQUIRED + OPTIONAL) or sorted(rules.values()) != sorted(file.tensors):
        raise InvalidInput("the transformation rules do not name exactly the tensors in the file")
    _check_shapes(document, {rule: file.tensors[name].shape for rule, name in rules.items()})
    return document


def _check_pair(source: str, target: str, space: Space) -> None:
    if (source == target) != (space is Space.REALIGNMENT):
        raise InvalidInput(
            "source and target are the same model; its memory needs no W-Matrix"
            if source == target
            else f"a realignment stays within one model; this one goes from {source} to {target}"
        )


def _check_shapes(document: WMatrixDocument, shapes: dict[str, tuple[int, ...]]) -> None:
    expected = document.shapes
    document.check_correction(shapes)
    for rule, shape in shapes.items():
        if rule not in CORRECTION and shape != expected[rule]:
            raise DimensionMismatch(f"{rule} has the shape {shape}; the document asks for {expected[rule]}", field=rule)


def _check_scales(arrays: dict[str, Array]) -> None:
    for name in ("source_scale", "target_scale", "latent_scale"):
        if name in arrays and not np.all(arrays[name] > 0):
            raise InvalidInput(f"{name} must be positive everywhere", field=name)
    for name in MATRICES:
        if (arrays[name].dtype == np.int8) != (f"{name}_scale" in arrays):
            raise InvalidInput(f"an 8-bit {name} needs {name}_scale, and no other does", field=name)
