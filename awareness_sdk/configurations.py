"""The KV-cache geometry that a transformers configuration describes."""

from typing import Any

from latentmas.protocol.errors import ModelNotSupported
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.plain import NO_THETA

FULL, SLIDING = "full_attention", "sliding_attention"


def geometry_of(config: Any) -> KVGeometry:
    """Return the cache geometry of a transformers configuration. Raises ModelNotSupported.

    A rotation that is scaled (YaRN, Llama 3) is not undone: the geometry then says that keys are not rotated, and they
    are coded as they are cached. The layout is taken to be that of the Llama family.
    """
    text = config.get_text_config(decoder=True)
    if getattr(text, "kv_lora_rank", None):
        raise ModelNotSupported(f"{text.model_type} caches a latent (MLA); give the geometry of what it caches")
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    rope = rotations_of(config)
    undone = all(each.get("rope_type", "default") == "default" and "rope_theta" in each for each in rope)
    return KVGeometry(
        layers=text.num_hidden_layers,
        heads=getattr(text, "num_key_value_heads", None) or text.num_attention_heads,
        head_dim=head_dim,
        rotary_dim=int(head_dim * rope[0].get("partial_rotary_factor", 1.0)) if undone else 0,
        thetas=tuple(float(each["rope_theta"]) if undone else NO_THETA for each in rope),
        windows=tuple(text.sliding_window if kind == SLIDING else None for kind in _kinds(text)),
    )


def rotations_of(config: Any) -> list[dict[str, Any]]:
    """Return each layer's RoPE parameters as transformers names them, empty where there are none.

    Raises ModelNotSupported for a layer that keeps no plain KV-cache.
    """
    text = config.get_text_config(decoder=True)
    rope = getattr(text, "rope_parameters", None) or {}
    return [dict(rope.get(kind, rope)) for kind in _kinds(text)]


def _kinds(text: Any) -> list[str]:
    """Return each layer's attention kind; as in transformers, a window without `layer_types` holds for all layers."""
    kinds = getattr(text, "layer_types", None)
    if kinds is None:
        kinds = [SLIDING if getattr(text, "sliding_window", None) else FULL] * text.num_hidden_layers
    if strange := sorted(set(kinds) - {FULL, SLIDING}):
        raise ModelNotSupported(
            f"{text.model_type} has layers of the kind {strange[0]!r}, which keep no plain KV-cache"
        )
    return list(kinds)
