"""The shape of a KV-cache, and the one vector per token that W-Matrices map.

A token's vector is, layer by layer, the keys of all heads with RoPE removed, then the values of all heads. Its width is
`sum(2 * heads * head_dim)` over the layers (SmolLM2-135M: 30 x 3 x 64 x 2 = 11 520).
"""

from dataclasses import dataclass

from latentmas.protocol.errors import InvalidInput

MAX_LAYERS = 1024
MAX_WIDTH = 1 << 24


@dataclass(frozen=True, slots=True)
class KVGeometry:
    """Layers, heads and rotary specification of a KV-cache with per-head keys and values.

    `thetas` and `windows` have one entry per layer; a window of None means full attention. `rotary_dim` is how many of
    a head's dimensions are rotated, in the half-split layout of the Llama family. Raises InvalidInput.
    """

    layers: int
    heads: int
    head_dim: int
    rotary_dim: int
    thetas: tuple[float, ...]
    windows: tuple[int | None, ...]

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "head_dim"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be at least 1", field=name)
        if self.layers > MAX_LAYERS or self.width > MAX_WIDTH:
            raise InvalidInput(f"{self.layers} layers of width {self.layer_width} are more than this protocol carries")
        if not 0 <= self.rotary_dim <= self.head_dim or self.rotary_dim % 2:
            raise InvalidInput(f"rotary_dim is {self.rotary_dim}; it must be even and at most {self.head_dim}")
        for name in ("thetas", "windows"):
            if len(getattr(self, name)) != self.layers:
                raise InvalidInput(
                    f"{name} has {len(getattr(self, name))} entries for {self.layers} layers", field=name
                )

    @property
    def layer_width(self) -> int:
        return 2 * self.heads * self.head_dim

    @property
    def width(self) -> int:
        return self.layers * self.layer_width
