"""What can be sold. An app that has goods registers them here; the sales know every kind by this contract alone.

A sale asks its goods twice: `offer`, before a quote, what the item is and what its price depends on; and `prepare`,
outside every transaction and after the buyer's money is held, for the artefact itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import NotFound
from latentmas.protocol.money import Money, Split
from latentmas.protocol.quality import TokenMode
from marketplace.pricing.formula import PriceFactors as PriceFactors


class Kind(StrEnum):
    W_MATRIX = "w-matrix"
    EMBEDDING = "embedding"
    MEMORY = "memory"
    REASONING_CHAIN = "reasoning-chain"
    LONG_TERM_MEMORY = "long-term-memory"


class Market(StrEnum):
    """The three markets of the specification (7.4.1)."""

    CAPABILITY = "capability"  # per purchase
    MEMORY = "memory"  # per use
    REASONING = "reasoning"  # per use


MARKETS: Mapping[Kind, Market] = {
    Kind.W_MATRIX: Market.CAPABILITY,
    Kind.EMBEDDING: Market.CAPABILITY,
    Kind.MEMORY: Market.MEMORY,
    Kind.LONG_TERM_MEMORY: Market.MEMORY,
    Kind.REASONING_CHAIN: Market.REASONING,
}


class Form(StrEnum):
    """How a memory is delivered."""

    RAW = "raw"  # a raw snapshot in the memory's own model
    COMPRESSED = "compressed"  # the .kvz file as it was published
    ALIGNED = "aligned"  # a raw snapshot in the buyer's model


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the buyer asks for. Only the kinds it is said of look at a field; all of it is bound by the quote."""

    form: Form = Form.COMPRESSED
    target_model: str | None = None  # of an aligned delivery
    target_weights: str | None = None  # the digest of the buyer's weights, where it matters to him
    minimum_retention: float | None = None  # below it an aligned delivery is refused, and nothing is charged
    after_step: int | None = None  # of a reasoning chain: go on after this step, counted from 1; None is the last
    query: str | None = None  # of a long-term memory: choose segments by relevance to it
    token_budget: int | None = None  # of a long-term memory: at most so many tokens


@dataclass(frozen=True, slots=True)
class Royalty:
    """What an ancestor's creator gets of a sale, in basis points of the price, out of the creator's share."""

    agent: str
    item: str
    basis_points: int


@dataclass(frozen=True, slots=True)
class Offer:
    """One version of one item on sale, as a quote needs it.

    `price` is what the seller asks: the price itself where `factors` is None, else the formula's base price.
    """

    kind: Kind
    item: str  # its id, which is its stream's too
    version: str
    digest: str  # of the file that the version is
    seller: str  # the agent that owns it
    price: Money
    split: Split
    validators: tuple[str, ...]  # agents whose recertifications agree with its certificate
    tier: Tier | None = None  # of its certificate
    factors: PriceFactors | None = None
    royalties: tuple[Royalty, ...] = ()
    floor: int | None = None  # minor units: the seller sells for no less
    discount: int = 0  # per cent
    mode: TokenMode | None = None  # of an aligned delivery, as things stand; None where its segments differ, too
    ready: bool = False  # `prepare` only looks up what is there, so that the purchase takes one transaction


@dataclass(frozen=True, slots=True)
class Helper:
    """A W-Matrix that a delivery was made with: its owner earns a stated share of that use.

    `agent` is None where the operator's own factory has listed it: the platform earns that share.
    """

    agent: str | None
    listing: str
    version: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """An artefact ready for its buyer: a blob, with the sale's receipt id in its signed metadata."""

    digest: str  # sha256:<hex>
    size: int
    name: str  # of the file
    tokens: int | None = None  # actually delivered; the price is settled by them where the offer has factors
    helper: Helper | None = None
    report: Mapping[str, object] = field(default_factory=dict)  # for the buyer: quality, findings, trusted tokens


class Goods(Protocol):
    """One kind of goods."""

    def offer(self, item: str, version: str | None, delivery: Delivery, *, buyer: str | None) -> Offer:
        """Return what is on sale; None for the version is the newest one on offer.

        Raises NotFound, Withdrawn or an error of the kind's own with 410, InvalidInput for a delivery that the kind
        does not know.
        """
        ...

    def prepare(self, offer: Offer, delivery: Delivery, *, sale: str) -> Prepared:
        """Return the artefact of a sale; the same again for the same sale. Raises what makes the sale void."""
        ...


_GOODS: dict[Kind, Goods] = {}


def sells(kind: Kind, goods: Goods) -> None:
    """Register who answers for a kind of goods; from an app's `ready`."""
    if _GOODS.setdefault(kind, goods) is not goods:
        raise ValueError(f"two apps sell the kind {kind.value}")


def goods_of(kind: Kind) -> Goods:
    """Return who answers for a kind. Raises NotFound for one that nobody sells."""
    if kind not in _GOODS:
        raise NotFound(f"nothing of the kind {kind.value} is sold here")
    return _GOODS[kind]
