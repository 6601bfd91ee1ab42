"""A model's architecture and its rotary position embedding, as published. An unknown fact is None, never guessed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import msgspec

from latentmas.protocol.errors import InvalidInput

PositionEncoding = Literal["rope", "rope-2d", "alibi", "learned-absolute"]
AttentionType = Literal["full", "sliding", "mla", "alibi", "sparse", "prefix-lm", "bidirectional"]
LayerKind = Literal["full", "sliding"]
RopeLayout = Literal["half", "interleaved"]
ScalingType = Literal["linear", "dynamic", "llama3", "yarn", "longrope"]
KeyNorm = Literal["rms-per-head", "layer-norm-per-head"]
Range = tuple[int, int]
MAX_NUMBER = 2**31 - 1  # the largest integer that a column holds on every database engine; no model comes near


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeScaling:
    """How the base frequencies are stretched for long contexts; parameters the model does not publish are None."""

    type: ScalingType
    factor: float | None = None
    original_max_position: int | None = None
    low_freq_factor: float | None = None  # llama3
    high_freq_factor: float | None = None  # llama3
    beta_fast: float | None = None  # yarn
    beta_slow: float | None = None  # yarn
    mscale: float | None = None  # yarn
    mscale_all_dim: float | None = None  # yarn
    attention_factor: float | None = None  # yarn and longrope: multiplies rotated queries and keys
    short_factor: tuple[float, ...] | None = None  # longrope, one per rotated pair
    long_factor: tuple[float, ...] | None = None  # longrope, one per rotated pair

    def __post_init__(self) -> None:
        check_choice("rope.scaling.type", self.type, get_args(ScalingType))
        for name in ("factor", "original_max_position", "low_freq_factor", "high_freq_factor", "beta_fast"):
            check_positive(f"rope.scaling.{name}", getattr(self, name))
        for name in ("beta_slow", "mscale", "mscale_all_dim", "attention_factor"):
            check_positive(f"rope.scaling.{name}", getattr(self, name))
        for name in ("short_factor", "long_factor"):
            for number in getattr(self, name) or ():
                check_positive(f"rope.scaling.{name}", number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rope:
    """A model's RoPE as published. Raises InvalidInput naming the field that cannot be right.

    `rotary_dim` is given for partial rotary only: None means that the whole head is rotated. `layout` says which two
    dimensions form a rotated pair in the cache: `half` (i, i + rotary_dim / 2) or `interleaved` (2i, 2i + 1).
    """

    theta: float | None = None
    scaling: RopeScaling | None = None
    rotary_dim: int | None = None
    layout: RopeLayout | None = None

    def __post_init__(self) -> None:
        check_positive("rope.theta", self.theta)
        check_positive("rope.rotary_dim", self.rotary_dim)
        check_choice("rope.layout", self.layout, get_args(RopeLayout))
        if self.rotary_dim is not None and self.rotary_dim % 2:
            raise InvalidInput(
                f"rope.rotary_dim is {self.rotary_dim}; rotated dimensions come in pairs", field="rope.rotary_dim"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArchitecture:
    """The published shape of one model. Raises InvalidInput naming the field that cannot be right.

    `layer_pattern` is one period of layer kinds, repeated over the depth; without one, every layer is of the kind that
    `attention_type` says. `local_theta` is the RoPE base of the sliding layers where it differs from `rope.theta`.
    `documented_*` are the ranges of the protocol's specification, used only where the true widths are not published.
    `unsure` names facts that were not confirmed at their source, with `rope.theta` for a fact of `rope`.
    """

    hidden_size: int | None = None
    num_layers: int | None = None
    num_attention_heads: int | None = None
    num_kv_heads: int | None = None
    head_dim: int | None = None
    vocab_size: int | None = None
    max_context: int | None = None
    tie_embeddings: bool | None = None
    position_encoding: PositionEncoding | None = None
    attention_type: AttentionType | None = None
    rope: Rope | None = None
    layer_pattern: tuple[LayerKind, ...] | None = None
    sliding_window: int | None = None  # tokens a sliding layer attends to
    local_theta: float | None = None
    key_norm: KeyNorm | None = None  # applied before RoPE; None: no norm, or nothing published
    attention_softcap: float | None = None  # logits become cap * tanh(logits / cap)
    kv_lora_rank: int | None = None  # MLA: width of the shared latent
    qk_rope_head_dim: int | None = None  # MLA: width of the shared rope key
    qkv_bias: bool | None = None
    documented_key_dim: Range | None = None
    documented_dimension: Range | None = None
    unsure: tuple[str, ...] = ()
    note: str | None = None

    def __post_init__(self) -> None:
        for name in POSITIVE:
            check_positive(name, value := getattr(self, name))
            _check_size(name, value)
        for name, choices in CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        for name in ("documented_key_dim", "documented_dimension"):
            _check_range(name, getattr(self, name))
        self._check_heads()
        self._check_layers()
        self._check_rotation()
        if strangers := sorted(set(self.unsure) - NAMES):
            raise InvalidInput(f"unsure names {strangers[0]!r}, which is no fact of an architecture", field="unsure")
        _check_size("num_layers", self.kv_width, what="the cache's width")

    @property
    def has_kv_cache(self) -> bool:
        """Whether the model keeps keys and values at all; encoders that read in both directions do not."""
        return self.attention_type != "bidirectional"

    @property
    def kv_width_per_layer(self) -> int | None:
        """Numbers cached per token and layer: keys and values of every KV head, or what MLA caches instead."""
        if not self.has_kv_cache:
            return None
        if self.attention_type == "mla":
            if self.kv_lora_rank is None or self.qk_rope_head_dim is None:
                return None
            return self.kv_lora_rank + self.qk_rope_head_dim
        if self.num_kv_heads is None or self.head_dim is None:
            return None
        return 2 * self.num_kv_heads * self.head_dim

    @property
    def kv_width(self) -> int | None:
        """Numbers cached per token over all layers; None where the widths are unknown or there is no cache."""
        per_layer = self.kv_width_per_layer
        return None if per_layer is None or self.num_layers is None else per_layer * self.num_layers

    @property
    def latent_dimension(self) -> int | None:
        """The width of the model's hidden vectors, or the lowest documented one where it is not published."""
        if self.hidden_size is not None:
            return self.hidden_size
        documented = self.documented_dimension or self.documented_key_dim
        return None if documented is None else documented[0]

    @property
    def rotary_dim(self) -> int | None:
        """How many dimensions of a key are rotated: the whole head, or MLA's rope key, unless RoPE is partial."""
        if self.rope is None:
            return None
        whole = self.qk_rope_head_dim if self.attention_type == "mla" else self.head_dim
        return whole if self.rope.rotary_dim is None else self.rope.rotary_dim

    def layer_kinds(self) -> tuple[LayerKind, ...] | None:
        """Return what each layer's cache keeps, all tokens or the last `sliding_window`; None where unknown."""
        if self.num_layers is None or self.attention_type is None or not self.has_kv_cache:
            return None
        pattern = self.layer_pattern or (("sliding",) if self.attention_type == "sliding" else ("full",))
        return tuple(pattern[layer % len(pattern)] for layer in range(self.num_layers))

    def layer_theta(self, layer: int) -> float | None:
        """Return the RoPE base of one layer, None where there is none or it is unknown. Raises InvalidInput."""
        if layer < 0 or (self.num_layers is not None and layer >= self.num_layers):
            raise InvalidInput(f"there is no layer {layer} in {self.num_layers} layers", field="layer")
        if self.rope is None:
            return None
        kinds = self.layer_kinds()
        if self.local_theta is not None and kinds is not None and kinds[layer] == "sliding":
            return self.local_theta
        return self.rope.theta

    def _check_heads(self) -> None:
        heads, kv_heads = self.num_attention_heads, self.num_kv_heads
        if heads is not None and kv_heads is not None and heads % kv_heads:
            raise InvalidInput(
                f"num_kv_heads is {kv_heads}, which does not divide the {heads} attention heads", field="num_kv_heads"
            )

    def _check_layers(self) -> None:
        if self.layer_pattern is None:
            return
        if not self.layer_pattern:
            raise InvalidInput("layer_pattern is empty; leave it out instead", field="layer_pattern")
        for kind in self.layer_pattern:
            check_choice("layer_pattern", kind, get_args(LayerKind))
        if "sliding" in self.layer_pattern and self.attention_type != "sliding":
            raise InvalidInput(
                f"layer_pattern has sliding layers but attention_type is {self.attention_type!r}", field="layer_pattern"
            )

    def _check_rotation(self) -> None:
        if self.rope is not None and self.position_encoding not in ("rope", "rope-2d"):
            raise InvalidInput(f"rope is given but position_encoding is {self.position_encoding!r}", field="rope")
        if self.rope is None or self.rope.rotary_dim is None or self.attention_type == "mla":
            return
        if self.head_dim is not None and self.rope.rotary_dim > self.head_dim:
            raise InvalidInput(
                f"rope.rotary_dim is {self.rope.rotary_dim}, more than the head's {self.head_dim}",
                field="rope.rotary_dim",
            )


ROPE_FACTS = tuple(f"rope.{field.name}" for field in fields(Rope))
POSITIVE = (
    "hidden_size",
    "num_layers",
    "num_attention_heads",
    "num_kv_heads",
    "head_dim",
    "vocab_size",
    "max_context",
    "sliding_window",
    "local_theta",
    "attention_softcap",
    "kv_lora_rank",
    "qk_rope_head_dim",
)
CHOICES: Mapping[str, tuple[str, ...]] = {
    "position_encoding": get_args(PositionEncoding),
    "attention_type": get_args(AttentionType),
    "key_norm": get_args(KeyNorm),
}
NAMES = frozenset({field.name for field in fields(ModelArchitecture)} | set(ROPE_FACTS))


def parse_architecture(document: object) -> ModelArchitecture:
    """Return the architecture that a JSON object describes. Raises InvalidInput."""
    if isinstance(document, dict) and (strangers := sorted(set(document) - NAMES)):
        raise InvalidInput(f"{strangers[0]!r} is no fact of an architecture", field=strangers[0])
    try:
        return msgspec.convert(document, ModelArchitecture, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the architecture is malformed: {error}", field="architecture") from error


def check_positive(name: str, value: float | None) -> None:
    """Raise InvalidInput for a number that is not finite and above zero; None passes."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InvalidInput(f"{name} is {value}; it must be above zero", field=name)


def check_choice(name: str, value: str | None, choices: Sequence[str]) -> None:
    """Raise InvalidInput for a word that is not one of `choices`; None passes."""
    if value is not None and value not in choices:
        raise InvalidInput(f"{name} is {value!r}; it must be one of {', '.join(choices)}", field=name)


def _check_range(name: str, value: Range | None) -> None:
    if value is not None and not 0 < value[0] <= value[1]:
        raise InvalidInput(f"{name} is {value[0]}-{value[1]}; write a lower and a higher whole number", field=name)
    if value is not None:
        _check_size(name, value[1])


def _check_size(name: str, value: float | None, *, what: str = "") -> None:
    if value is not None and value > MAX_NUMBER:
        raise InvalidInput(f"{what or name} is {value}; the limit is {MAX_NUMBER}", field=name)
