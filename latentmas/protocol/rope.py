"""Rotary position embedding as published with a model: base, scaling, rotated width and pairing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from latentmas.protocol.errors import InvalidInput

RopeLayout = Literal["half", "interleaved"]
ScalingType = Literal["linear", "dynamic", "llama3", "yarn", "longrope"]


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


def check_positive(name: str, value: float | None) -> None:
    """Raise InvalidInput for a number that is not finite and above zero; None passes."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InvalidInput(f"{name} is {value}; it must be above zero", field=name)


def check_choice(name: str, value: str | None, choices: Sequence[str]) -> None:
    """Raise InvalidInput for a word that is not one of `choices`; None passes."""
    if value is not None and value not in choices:
        raise InvalidInput(f"{name} is {value!r}; it must be one of {', '.join(choices)}", field=name)
