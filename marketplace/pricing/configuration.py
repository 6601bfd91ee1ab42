"""The figures that prices depend on, one set for each version of the configuration. Pure."""

from dataclasses import dataclass

WHOLE = 10_000  # basis points


@dataclass(frozen=True, slots=True)
class Configuration:
    """Weights of the price formula, bounds of what sellers and others may claim, and how long things hold.

    What is not set by an event is as the specification says (7.4.2).
    """

    tokens_weight: int = 30  # alpha, per cent
    tier_weight: int = 25  # beta
    quality_weight: int = 25  # gamma
    uniqueness_weight: int = 20  # delta
    token_ceiling: int = 131_072  # a memory of so many tokens or more has the token factor 1
    floor_percent: int = 200  # a seller's floor counts for at most so much of the base price
    discount_percent: int = 50  # a seller's discount counts for at most so much
    helper_basis_points: int = 1_000  # of the price: what the owner of a W-Matrix earns that a delivery was made with
    shared_basis_points: int = 5_000  # of the creator's share: helper and royalties get no more of it together
    quote_seconds: int = 600
    hold_seconds: int = 900  # a purchase that has not come to its end by then is voided


BOUNDS = {
    "tokens_weight": (0, 1_000),
    "tier_weight": (0, 1_000),
    "quality_weight": (0, 1_000),
    "uniqueness_weight": (0, 1_000),
    "token_ceiling": (1, 10**9),
    "floor_percent": (0, 10_000),
    "discount_percent": (0, 100),
    "helper_basis_points": (0, WHOLE),
    "shared_basis_points": (0, 5_000),  # the creator keeps half, whatever happens
    "quote_seconds": (10, 86_400),
    "hold_seconds": (10, 86_400),
}
