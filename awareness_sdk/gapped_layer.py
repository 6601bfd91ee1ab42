"""A layer of a transformers cache that lacks some tokens: the model sees the rest at their true positions.

transformers masks by a token's index in the cache, so a cache that merely leaves tokens out would let sliding windows
reach too far back and continue at a wrong position. This layer counts the tokens it lacks. Works with the attention
implementations that take a mask (sdpa and eager), for one sequence, without padding in the `attention_mask`.
"""

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer


class GappedLayer(DynamicLayer):  # type: ignore[misc]  # untyped
    """Keys and values `[1, heads, tokens, dim]` at ascending `positions`; a sliding layer keeps only its window."""

    is_croppable = False

    def __init__(
        self,
        keys: torch.Tensor,
        values: torch.Tensor,
        *,
        positions: torch.Tensor,
        next_position: int,
        window: int | None,
    ) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.is_sliding = window is not None
        self.sliding_window = window
        self.positions = positions
        self.cumulative_length = next_position
        self._keep(keys, values)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the new tokens and return all that their queries may see."""
        keys = torch.cat([self.keys, key_states], dim=-2)
        values = torch.cat([self.values, value_states], dim=-2)
        self.positions = self._positions_with(key_states.shape[-2])
        self.cumulative_length += key_states.shape[-2]
        self._keep(keys, values)
        return keys, values

    def get_seq_length(self) -> int:
        """Return the position at which the model continues: missing tokens count."""
        return self.cumulative_length

    def get_mask_sizes(self, query_length: int) -> tuple[int, Any]:
        """Return the number of keys, and the offset from a key's index to its position.

        The offset is a tensor of one entry per key only for several queries over a window with a gap; otherwise every
        key is visible, and one number places them right before the queries.
        """
        held = len(self.positions)
        length = held + query_length
        if not self.is_sliding or query_length == 1 or held == 0 or self._unbroken():
            return length, self.cumulative_length - held
        return length, self._positions_with(query_length) - torch.arange(length, device=self.positions.device)

    def _unbroken(self) -> bool:
        return int(self.positions[0]) + len(self.positions) == self.cumulative_length

    def _positions_with(self, count: int) -> torch.Tensor:
        first = self.cumulative_length
        return torch.cat([self.positions, torch.arange(first, first + count, device=self.positions.device)])

    def _keep(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Keep what the next token can see."""
        first = 0
        if self.sliding_window is not None:
            first = int((self.positions <= self.cumulative_length - self.sliding_window).sum())
        self.positions = self.positions[first:]
        self.keys, self.values = keys[..., first:, :], values[..., first:, :]
