"""Targets and methods of a compression: what is asked for, the method that follows, and whether the two fit together.

A target is an attention coverage (specification 1.3), a byte ratio, or a bound on the KL divergence.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from kvcache.adapters import ModelAdapter
from kvcache.coding.encoded import Coding
from latentmas.protocol.errors import InvalidInput

Method = Literal["auto", "raw", "select", "quantise", "transform", "select+quantise", "select+transform"]
NO_PROFILE = "none"  # in place of a codec profile's digest
METHODS: tuple[Method, ...] = get_args(Method)
CODING_OF: Mapping[str, Coding] = {"raw": "raw", "select": "raw", "quantise": "quantised", "transform": "transform"}

# Without a target: 4.6x at a KL of .007 on SmolLM2-135M. Keys get more bits, as the softmax amplifies their errors.
DEFAULT_KEY_BITS, DEFAULT_VALUE_BITS = 4, 3
DEFAULT_KL = 0.01  # nats, where a profile is given and nothing is asked for
MAX_RATIO = 10_000.0


@dataclass(frozen=True, slots=True)
class Threshold:
    """Keep the fewest tokens whose attention mass reaches `coverage`. Raises InvalidInput.

    `min_tokens` and `max_tokens` replace the adapter's; `max_tokens` takes precedence over the coverage.
    """

    coverage: float
    min_tokens: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        if not (_is_number(self.coverage) and 0 < self.coverage <= 1):
            raise InvalidInput(
                f"attention_threshold is {self.coverage!r}; it must lie above 0 and not above 1",
                field="attention_threshold",
            )
        for name in ("min_tokens", "max_tokens"):
            if (count := getattr(self, name)) is not None:
                check_count(name, count)
        if self.min_tokens is not None and self.max_tokens is not None and self.max_tokens < self.min_tokens:
            raise InvalidInput(
                f"max_tokens is {self.max_tokens}; it must be at least min_tokens, {self.min_tokens}",
                field="max_tokens",
            )


@dataclass(frozen=True, slots=True)
class Ratio:
    """Bytes of the float16 cache over bytes of the file. Raises InvalidInput."""

    ratio: float

    def __post_init__(self) -> None:
        if not (_is_number(self.ratio) and 1 < self.ratio <= MAX_RATIO):
            raise InvalidInput(
                f"ratio is {self.ratio!r}; it must lie above 1 and not above {MAX_RATIO:g}", field="ratio"
            )


@dataclass(frozen=True, slots=True)
class KLBound:
    """The mean KL divergence in nats that coding is expected not to exceed: an estimate, since no model is run.

    It needs a codec profile. Raises InvalidInput.
    """

    kl: float

    def __post_init__(self) -> None:
        if not (_is_number(self.kl) and math.isfinite(self.kl) and self.kl > 0):
            raise InvalidInput(f"kl is {self.kl!r}; it must be a finite number of nats above 0", field="kl")


Target: TypeAlias = Threshold | Ratio | KLBound


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to compress. `selection`: the tokens to keep first, None for all; `may_drop`: a ratio may drop further ones.

    `of_stream`: the snapshot is a part of a cache whose end is not known yet.
    """

    method: Method
    coding: Coding
    selection: Threshold | None
    ratio: float | None = None
    kl: float | None = None
    may_drop: bool = False
    of_stream: bool = False


def target_of(values: Mapping[str, Any], adapter: ModelAdapter) -> Target | None:
    """Return what the parameters ask for, None where they leave it to the method. Raises InvalidInput."""
    counts = {name: values[name] for name in ("min_tokens", "max_tokens") if name in values}
    given = [name for name in ("attention_threshold", "ratio", "kl") if name in values]
    if len(given) > 1:
        raise InvalidInput(f"{given[0]} and {given[1]} are both given; only one can be the target", field=given[1])
    if counts and given in (["ratio"], ["kl"]):
        count = next(iter(counts))
        raise InvalidInput(f"{count} bounds an attention threshold; it means nothing for {given[0]}", field=count)
    if given == ["ratio"]:
        return Ratio(values["ratio"])
    if given == ["kl"]:
        return KLBound(values["kl"])
    if given or counts:
        return Threshold(values.get("attention_threshold", adapter.recommended_threshold), **counts)
    return None


def plan_for(
    method: str, target: Target | None, *, adapter: ModelAdapter, with_profile: bool, with_queries: bool
) -> Plan:
    """Return the plan. Raises InvalidInput where method, target, profile and queries do not fit together."""
    if method not in METHODS:
        raise InvalidInput(f"method is {method!r}; it must be one of {', '.join(METHODS)}", field="method")
    _check_bound(method, target, with_profile=with_profile)
    chosen = _chosen(target, with_profile, with_queries) if method == "auto" else _checked(method, target)
    coding = CODING_OF[chosen.rpartition("+")[2]]
    if coding == "transform" and not with_profile:
        raise InvalidInput(
            f"the method {chosen!r} needs a codec profile of {adapter.model}, and none was given",
            resolution="Give a profile, or use the method 'quantise'.",
            field="profile",
        )
    selection = _selection(chosen, target, adapter)
    if selection is not None and not with_queries:
        raise InvalidInput(
            f"the method {chosen!r} weighs tokens by the attention that queries pay them, and no queries were given",
            resolution="Give queries, or use the method 'quantise' (with a profile: 'transform').",
            field="queries",
        )
    return Plan(
        method=chosen,
        coding=coding,
        selection=selection,
        ratio=target.ratio if isinstance(target, Ratio) else None,
        kl=_kl(coding, target),
        may_drop=isinstance(target, Ratio) and (selection is not None or (method == "auto" and with_queries)),
    )


def _chosen(target: Target | None, with_profile: bool, with_queries: bool) -> Method:
    if with_profile:
        return "select+transform" if isinstance(target, Threshold) else "transform"
    if isinstance(target, Ratio):
        return "quantise"
    return "select" if isinstance(target, Threshold) or with_queries else "quantise"


def _checked(method: str, target: Target | None) -> Method:
    chosen = next(known for known in METHODS if known == method)
    if isinstance(target, Threshold) and not chosen.startswith("select"):
        raise InvalidInput(
            f"the target is an attention threshold, which the method {chosen!r} cannot reach; use 'select', "
            "'select+quantise' or 'select+transform'",
            field="method",
        )
    if chosen == "raw" and target is not None:
        raise InvalidInput("the method 'raw' takes no target; it keeps everything", field="target")
    return chosen


def _check_bound(method: str, target: Target | None, *, with_profile: bool) -> None:
    if not isinstance(target, KLBound):
        return
    if not with_profile:
        raise InvalidInput(
            f"the target is a KL bound of {target.kl} nats, which only a codec profile can hold; none was given",
            resolution="Give a codec profile of the model, or ask for a ratio or an attention threshold.",
            field="profile",
        )
    if method not in ("auto", "transform"):
        raise InvalidInput(
            f"the target is a KL bound, which the method {method!r} cannot hold; use 'auto' or 'transform'",
            field="method",
        )


def _selection(chosen: Method, target: Target | None, adapter: ModelAdapter) -> Threshold | None:
    if not chosen.startswith("select"):
        return None
    if isinstance(target, Threshold):
        return target
    if chosen == "select" and isinstance(target, Ratio):
        return Threshold(1.0)  # the ratio alone says how many tokens stay
    return Threshold(adapter.recommended_threshold)


def _kl(coding: Coding, target: Target | None) -> float | None:
    if coding != "transform" or isinstance(target, Ratio):
        return None
    return target.kl if isinstance(target, KLBound) else DEFAULT_KL


def token_bounds(selection: Threshold, adapter: ModelAdapter, *, tokens: int) -> tuple[int, int]:
    """Return the least and the greatest number of tokens that a selection may keep of `tokens`. Raises InvalidInput."""
    least = adapter.min_tokens if selection.min_tokens is None else selection.min_tokens
    most = adapter.max_tokens if selection.max_tokens is None else selection.max_tokens
    if most < least:
        raise InvalidInput(f"max_tokens is {most}; it must be at least min_tokens, {least}", field="max_tokens")
    if tokens < max(least, 2):
        raise InvalidInput(
            f"the cache has {tokens} token{'' if tokens == 1 else 's'}; a selection needs at least {max(least, 2)}",
            resolution="Give a longer cache, lower min_tokens, or use a method without selection.",
            field="keys",
        )
    return least, most


def check_count(name: str, count: object) -> None:
    """Raise InvalidInput unless `count` is a whole number of at least 1."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InvalidInput(f"{name} is {count!r}; it must be a whole number of at least 1", field=name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
