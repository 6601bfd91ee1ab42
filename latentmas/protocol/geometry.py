"""The shape of a KV-cache, and the one vector per token that W-Matrices map.

A token's vector is, layer by layer, the keys of all heads with RoPE removed, then the values of all heads. Its width is
`sum(heads * (head_dim + value_dim))` over the layers (SmolLM2-135M: 30 x 3 x (64 + 64) = 11 520).
"""

import math
from dataclasses import dataclass, replace

from latentmas.protocol.errors import InvalidInput

MAX_LAYERS = 1024
MAX_WIDTH = 1 << 24


@dataclass(frozen=True, slots=True)
class KVGeometry:
    """Layers, heads and rotary specification of a KV-cache. Raises InvalidInput.

    `thetas` and `windows` have one entry per layer; a window of None means full attention. `rotary_dim` is how many of
    a key's dimensions are rotated, in the half-split layout of the Llama family. `value_dim` is the width of a head's
    value where it is not that of its key: what MLA caches is one head whose key is the shared rope key and whose value
    is the latent.
    """

    layers: int
    heads: int
    head_dim: int
    rotary_dim: int
    thetas: tuple[float, ...]
    windows: tuple[int | None, ...]
    value_dim: int | None = None

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "head_dim", "value_dim"):
            if (size := getattr(self, name)) is not None and size < 1:
                raise InvalidInput(f"{name} is {size}; it must be at least 1", field=name)
        if self.layers > MAX_LAYERS or self.width > MAX_WIDTH:
            raise InvalidInput(f"{self.layers} layers of width {self.layer_width} are more than this protocol carries")
        if not 0 <= self.rotary_dim <= self.head_dim or self.rotary_dim % 2:
            raise InvalidInput(f"rotary_dim is {self.rotary_dim}; it must be even and at most {self.head_dim}")
        for name in ("thetas", "windows"):
            if len(getattr(self, name)) != self.layers:
                raise InvalidInput(
                    f"{name} has {len(getattr(self, name))} entries for {self.layers} layers", field=name
                )
        for theta in self.thetas:
            if not (math.isfinite(theta) and theta > 0):
                raise InvalidInput(f"thetas holds {theta}; each must be finite and above 0", field="thetas")
        for window in self.windows:
            if window is not None and window < 1:
                raise InvalidInput(
                    f"windows holds {window}; each must be at least 1, or None for full attention", field="windows"
                )

    def first(self, layers: int) -> "KVGeometry":
        """Return the geometry of the first so many layers alone."""
        return replace(self, layers=layers, thetas=self.thetas[:layers], windows=self.windows[:layers])

    @property
    def value_width(self) -> int:
        """Numbers in one head's value."""
        return self.head_dim if self.value_dim is None else self.value_dim

    @property
    def layer_width(self) -> int:
        return self.heads * (self.head_dim + self.value_width)

    @property
    def width(self) -> int:
        return self.layers * self.layer_width
