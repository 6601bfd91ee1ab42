"""The model adapter (specification 1.1): what compression needs to know about a model, from its architecture.

`attention_type` and the geometry's windows give the attention mask; `scale`, `softcap` and `query_heads` the logits;
`rotation` says whether RoPE is removed from keys before they are coded; the threshold and the token counts bound a
selection. A fact that is not published is None.
"""

from dataclasses import dataclass
from typing import Literal

from latentmas.protocol.architecture import AttentionType, ModelArchitecture, PositionEncoding
from latentmas.protocol.errors import DimensionMismatch, InvalidInput, ModelNotSupported
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.plain import NO_THETA
from latentmas.protocol.snapshot import SnapshotFrame

Attention = Literal["causal", "sliding-window", "prefix-lm", "block-sparse", "mla", "alibi"]
Rotation = Literal["none", "undone", "kept"]

MIN_TOKENS = 10
MAX_TOKENS = 2048
MLA_SCALE = 1.0  # absorbed MLA queries already include the model's own scale
ATTENTION: dict[AttentionType, Attention] = {
    "full": "causal",
    "sliding": "sliding-window",
    "prefix-lm": "prefix-lm",
    "sparse": "block-sparse",
    "mla": "mla",
    "alibi": "alibi",
}
NOTES: dict[Attention, str] = {
    "mla": "what is cached is one rope key and one latent a token; queries are the absorbed ones, [rope | latent], "
    "multiplied by the model's own scale",
    "block-sparse": "attention mass is computed as if every layer were dense, since the dense layers see every token",
    "prefix-lm": "every query sees every cached token: the cache is taken to be the prompt",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAdapter:
    """How to compress the cache of one model; a fact that is not published is None and named in `unknown`.

    `rotation` is "undone" where RoPE is taken out of the keys before they are coded, "kept" where the model's rule
    cannot be undone and keys are coded as they are cached, "none" where keys are not rotated. `geometry` is None where
    a fact that it needs is unknown: then only plain arrays can be compressed.
    """

    model: str
    family: str
    attention_type: Attention | None
    position_encoding: PositionEncoding | None
    rotation: Rotation | None
    geometry: KVGeometry | None
    query_heads: int | None
    scale: float | None  # None: 1 / sqrt(width of a key)
    softcap: float | None
    recommended_threshold: float
    min_tokens: int = MIN_TOKENS
    max_tokens: int = MAX_TOKENS
    unknown: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()  # published, but not confirmed at the source
    note: str | None = None

    @property
    def window(self) -> int | None:
        """The sliding window in tokens where every layer has the same one; None otherwise."""
        windows = set(() if self.geometry is None else self.geometry.windows)
        return windows.pop() if len(windows) == 1 else None

    def accept(self, frame: SnapshotFrame) -> None:
        """Raise InvalidInput, ModelNotSupported or DimensionMismatch for a snapshot that is not of this model."""
        if frame.is_plain:
            return
        if frame.model not in (None, self.model):
            raise InvalidInput(f"the snapshot is of {frame.model!r}; the adapter is of {self.model!r}", field="model")
        if self.geometry is None:
            raise ModelNotSupported(
                f"the cache of {self.model} cannot be described: {', '.join(self.unknown)} unknown; only plain arrays, "
                "one head without RoPE, can be compressed",
                resolution="Give keys and values as two-dimensional arrays, or correct the model's facts.",
                model=self.model,
            )
        self.require_geometry(frame.geometry)

    def require_geometry(self, geometry: KVGeometry, *, of: str = "the snapshot") -> None:
        """Raise DimensionMismatch for a geometry that is not this model's; one that is not known refuses nothing."""
        if self.geometry is None:
            return
        for name in ("layers", "heads", "head_dim", "value_width", "windows", *self._rotary_facts()):
            given, allowed = getattr(geometry, name), getattr(self.geometry, name)
            if given != allowed:
                raise DimensionMismatch(
                    f"{of}'s {name} is {given}; {self.model} has {allowed}",
                    resolution=f"Give {of} of this model, or the model's name that fits it.",
                    field=name,
                )

    def _rotary_facts(self) -> tuple[str, ...]:
        # Where keys keep their rotation, it is never undone, so the snapshot's RoPE parameters do not matter.
        return () if self.rotation == "kept" else ("rotary_dim", "thetas")


def adapter_for(model: str, *, family: str, architecture: ModelArchitecture, threshold: float) -> ModelAdapter:
    """Return the adapter that follows from a model's facts. Raises ModelNotSupported where it keeps no KV-cache."""
    if not architecture.has_kv_cache:
        raise ModelNotSupported(
            f"{model} reads in both directions and keeps no KV-cache",
            resolution="Choose a decoder model; see the list of supported models.",
            model=model,
        )
    kind = architecture.attention_type
    attention = None if kind is None else ATTENTION[kind]
    rotation, reason = _rotation(architecture)
    unknown = _unknown(architecture)
    return ModelAdapter(
        model=model,
        family=family,
        attention_type=attention,
        position_encoding=architecture.position_encoding,
        rotation=rotation,
        geometry=_geometry(architecture, rotation),
        query_heads=architecture.num_attention_heads,
        scale=_scale(architecture),
        softcap=architecture.attention_softcap,
        recommended_threshold=threshold,
        unknown=unknown,
        unsure=tuple(name for name in architecture.unsure if name in _needed(architecture)),
        note="; ".join(filter(None, (architecture.note, reason, NOTES.get(attention) if attention else None))) or None,
    )


def _rotation(architecture: ModelArchitecture) -> tuple[Rotation | None, str | None]:
    """Return what is done with the keys' RoPE, and the reason where it is kept."""
    rope = architecture.rope
    match architecture.position_encoding:
        case None:
            return None, None
        case "alibi" | "learned-absolute":
            return "none", None
        case "rope-2d":
            return "kept", "keys keep their rotation: it is two-dimensional"
    if rope is None or rope.theta is None or rope.layout is None:
        return "kept", "keys keep their rotation: its base or layout is not published"
    if rope.scaling is not None:
        return "kept", f"keys keep their rotation: its scaling ({rope.scaling.type}) is not undone"
    if rope.layout != "half":
        return "kept", f"keys keep their rotation: its layout is {rope.layout}"
    return "undone", None


def _geometry(architecture: ModelArchitecture, rotation: Rotation | None) -> KVGeometry | None:
    latent = architecture.attention_type == "mla"
    layers = architecture.num_layers
    heads = 1 if latent else architecture.num_kv_heads
    head_dim = architecture.qk_rope_head_dim if latent else architecture.head_dim
    kinds = architecture.layer_kinds()
    if layers is None or heads is None or head_dim is None or kinds is None or rotation is None:
        return None
    if (latent and architecture.kv_lora_rank is None) or ("sliding" in kinds and architecture.sliding_window is None):
        return None
    undone = rotation == "undone"
    return KVGeometry(
        layers=layers,
        heads=heads,
        head_dim=head_dim,
        rotary_dim=(architecture.rotary_dim or 0) if undone else 0,
        thetas=tuple((architecture.layer_theta(layer) if undone else None) or NO_THETA for layer in range(layers)),
        windows=tuple(architecture.sliding_window if kind == "sliding" else None for kind in kinds),
        value_dim=architecture.kv_lora_rank if latent else None,
    )


def _scale(architecture: ModelArchitecture) -> float | None:
    if architecture.attention_type == "mla":
        return MLA_SCALE
    return None if architecture.head_dim is None else float(architecture.head_dim**-0.5)


def _needed(architecture: ModelArchitecture) -> tuple[str, ...]:
    """Return the names of the facts that an adapter of this attention type and position encoding needs."""
    names = ["attention_type", "position_encoding", "num_layers", "num_attention_heads"]
    latent = architecture.attention_type == "mla"
    names += ["kv_lora_rank", "qk_rope_head_dim"] if latent else ["num_kv_heads", "head_dim"]
    names += ["sliding_window"] if architecture.attention_type == "sliding" else []
    return (*names, *(("rope.theta", "rope.layout") if architecture.position_encoding == "rope" else ()))


def _unknown(architecture: ModelArchitecture) -> tuple[str, ...]:
    def fact(name: str) -> object:
        owner = architecture.rope if name.startswith("rope.") else architecture
        return getattr(owner, name.removeprefix("rope."), None)

    return tuple(name for name in _needed(architecture) if fact(name) is None)
