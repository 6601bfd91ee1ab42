"""Compare a cache's geometry with the registry's facts about its model; unpublished facts are not compared."""

from collections.abc import Iterator

from kvcache.server.queries import get_adapter
from latentmas.protocol.errors import DimensionMismatch, ModelNotSupported
from latentmas.protocol.geometry import KVGeometry
from latentmas.registry.models import RegisteredModel


def require_cache(model: RegisteredModel) -> None:
    """Raise ModelNotSupported for a bidirectional encoder, which keeps no KV-cache."""
    if not model.has_kv_cache:
        raise ModelNotSupported(
            f"{model.name} reads in both directions and keeps no KV-cache",
            resolution="Exchange its vectors instead: POST /api/latentmas/vectors/align.",
            model=model.name,
        )


def require_geometry(model: RegisteredModel, geometry: KVGeometry) -> None:
    """Raise DimensionMismatch if the geometry contradicts a published fact, ModelNotSupported without a KV-cache.

    Facts that the registry marks as unsure, and a rotation that it cannot describe, are not compared.
    """
    require_cache(model)
    unsure = set(model.shape.unsure)
    for name, expected, rests_on in _facts(model):
        given = getattr(geometry, name)
        if expected is not None and given != expected and not unsure & set(rests_on):
            raise DimensionMismatch(
                f"{name} is {_short(given)}; the registry says that {model.name} has {_short(expected)}",
                resolution=f"GET /api/models/{model.name} shows the facts; a curator can correct them.",
                field=name,
                expected=expected,
                given=given,
            )


def _facts(model: RegisteredModel) -> Iterator[tuple[str, object, tuple[str, ...]]]:
    """Yield each field of a geometry, its expected value (None: unknown) and the registry facts it follows from."""
    shape, adapter = model.shape, get_adapter(model.name)
    latent = shape.attention_type == "mla"
    yield "layers", shape.num_layers, ("num_layers",)
    yield "heads", 1 if latent else shape.num_kv_heads, ("num_kv_heads",)
    yield "head_dim", shape.qk_rope_head_dim if latent else shape.head_dim, ("head_dim", "qk_rope_head_dim")
    yield "value_width", shape.kv_lora_rank if latent else shape.head_dim, ("head_dim", "kv_lora_rank")
    if adapter.geometry is None:
        return
    yield "windows", adapter.geometry.windows, ("attention_type", "layer_pattern", "sliding_window")
    if adapter.rotation != "kept":
        yield "rotary_dim", adapter.geometry.rotary_dim, ("rope", "rope.rotary_dim")
        yield "thetas", adapter.geometry.thetas, ("rope", "rope.theta", "local_theta")


def _short(value: object) -> str:
    """Return a value for an error message: thetas and windows as their distinct entries."""
    return f"{sorted(set(value), key=str)} over {len(value)} layers" if isinstance(value, tuple) else str(value)
