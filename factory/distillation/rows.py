"""Between transformers' caches and rows, for batches of texts, on any device and differentiable.

The same as `kvcache.rows`, which is for one memory, on the CPU and in numpy.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kvcache.kernels.rotary import frequencies_of
from latentmas.protocol.geometry import KVGeometry

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache


class BatchedRows:
    """Converts caches that begin at position 0; every text of a batch has as many tokens as the others."""

    def __init__(self, geometry: KVGeometry, *, device: "torch.device") -> None:
        import torch

        self._geometry = geometry
        self._frequencies = torch.from_numpy(frequencies_of(geometry)).to(device)

    def rows_of(self, layers: Sequence[tuple["torch.Tensor", "torch.Tensor"]]) -> "torch.Tensor":
        """Return rows `[texts, tokens, width]`, float32, of layers' keys and values `[texts, heads, tokens, dim]`."""
        import torch

        keys, values = (torch.stack([layer[side] for layer in layers]).float() for side in (0, 1))
        parts = [side.permute(1, 3, 0, 2, 4).flatten(3) for side in (self._turned(keys, -1.0), values)]
        return torch.cat(parts, -1).flatten(2)

    def cache_of(self, rows: "torch.Tensor", precision: "torch.dtype") -> "DynamicCache":
        """Return a cache that holds rows `[texts, tokens, width]` at the positions 0, 1, 2 and so on."""
        from transformers import DynamicCache

        geometry = self._geometry
        split = geometry.heads * geometry.head_dim
        by_layer = rows.view(*rows.shape[:2], geometry.layers, geometry.layer_width).permute(2, 0, 1, 3)
        keys, values = (
            side.reshape(*side.shape[:3], geometry.heads, -1).transpose(2, 3)
            for side in (by_layer[..., :split], by_layer[..., split:])
        )
        cache: DynamicCache = DynamicCache()
        for number, pair in enumerate(zip(self._turned(keys, 1.0), values, strict=True)):
            cache.update(*(side.to(precision) for side in pair), number)
        return cache

    def _turned(self, keys: "torch.Tensor", sign: float) -> "torch.Tensor":
        """Return keys `[layers, texts, heads, tokens, head_dim]` rotated at their positions, or back."""
        import torch

        pairs = self._frequencies.shape[1]
        angle = torch.arange(keys.shape[3], device=keys.device)[:, None] * self._frequencies[:, None, None, None]
        cosine, sine = angle.cos(), angle.sin() * sign
        first, second, rest = keys[..., :pairs], keys[..., pairs : 2 * pairs], keys[..., 2 * pairs :]
        return torch.cat([first * cosine - second * sine, second * cosine + first * sine, rest], -1)
