"""Find and buy memories, reasoning chains, long-term memories and embeddings on one server."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from awareness_sdk.errors import AwarenessError
from awareness_sdk.transport import Transport
from latentmas.protocol.long_term_memory import Delivered, read_selection
from latentmas.protocol.reasoning_chain import Step, read_chain
from latentmas.protocol.snapshot import KVSnapshot, read_snapshot
from latentmas.protocol.tensors import Array
from latentmas.protocol.vectors import read_vectors

if TYPE_CHECKING:
    from transformers import DynamicCache

Result = dict[str, Any]
MEMORIES = "memories"
CHAINS = "reasoning-chains"
LONG_TERM = "long-term-memories"
EMBEDDINGS = "embeddings"
RAW, ALIGNED, COMPRESSED = "raw", "aligned", "compressed"


class PriceTooHigh(AwarenessError):
    """The quote is above what the caller would pay; nothing was bought."""


@dataclass(frozen=True, slots=True)
class UsedMemory:
    """A memory that was bought. `purchase` has its price, its sale's id and the report on the delivery.

    Its model takes `snapshot` in. None of its tokens is to be trusted: somebody else's model has read them.
    """

    snapshot: KVSnapshot
    purchase: Result

    def cache(self, config: Any = None) -> "DynamicCache":
        """Return the memory as a cache that `transformers` goes on from; `config` is the model's."""
        from awareness_sdk.transformers_bridge import cache_of

        return cache_of(self.snapshot, config=config)


@dataclass(frozen=True, slots=True)
class UsedChain(UsedMemory):
    """The memory at the end of a step, and the steps until then."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class UsedSegments:
    """The segments of a long-term memory that were bought, in the order of appending; each is of its own context."""

    segments: tuple[Delivered, ...]
    purchase: Result

    def snapshots(self) -> list[KVSnapshot]:
        """Return the memory of each segment."""
        return [read_snapshot(each.memory)[0] for each in self.segments]


@dataclass(frozen=True, slots=True)
class UsedEmbeddings:
    vectors: Array
    purchase: Result


def on_sale(transport: Transport, kind: str, filters: Mapping[str, Any]) -> Iterator[Result]:
    """Yield what is on sale of a kind, the cheapest first, page after page."""
    return transport.pages(f"/api/{kind}", filters)


def use_memory(transport: Transport, memory_id: str, model: str | None, wanted: Mapping[str, Any]) -> UsedMemory:
    """Buy one use of a memory for a model, by default its own."""
    file, purchase = _bought(transport, MEMORIES, memory_id, model, wanted)
    return UsedMemory(read_snapshot(file)[0], purchase)


def use_chain(transport: Transport, chain_id: str, model: str | None, wanted: Mapping[str, Any]) -> UsedChain:
    """Buy one use of a reasoning chain for a model, by default its own."""
    file, purchase = _bought(transport, CHAINS, chain_id, model, wanted)
    chain = read_chain(file)
    return UsedChain(read_snapshot(chain.memory)[0], purchase, chain.steps)


def use_segments(transport: Transport, memory_id: str, model: str | None, wanted: Mapping[str, Any]) -> UsedSegments:
    """Buy a selection of a long-term memory for a model, by default its own."""
    file, purchase = _bought(transport, LONG_TERM, memory_id, model, wanted)
    return UsedSegments(tuple(read_selection(file)), purchase)


def buy_embeddings(transport: Transport, embeddings_id: str, wanted: Mapping[str, Any]) -> UsedEmbeddings:
    """Buy a file of embeddings."""
    file, purchase = _purchased(transport, EMBEDDINGS, embeddings_id, {"form": COMPRESSED}, wanted)
    return UsedEmbeddings(read_vectors(file).array, purchase)


def quote_memory(transport: Transport, memory_id: str, model: str | None, wanted: Mapping[str, Any]) -> Result:
    """Return a quote for one use of a memory for a model, by default its own."""
    delivery = _delivery_to(transport, MEMORIES, memory_id, model)
    return _quoted(transport, MEMORIES, memory_id, delivery, wanted)


def _bought(
    transport: Transport, kind: str, identifier: str, model: str | None, wanted: Mapping[str, Any]
) -> tuple[bytes, Result]:
    return _purchased(transport, kind, identifier, _delivery_to(transport, kind, identifier, model), wanted)


def _delivery_to(transport: Transport, kind: str, identifier: str, model: str | None) -> Result:
    """Return the delivery that a model can take in: raw to the memory's own, aligned to another."""
    if model is not None:
        own = transport.json("GET", f"/api/{kind}/{identifier}")["model"]
        if transport.json("GET", f"/api/models/{model}")["name"] != own:
            return {"form": ALIGNED, "target_model": model}
    return {"form": RAW}


def _quoted(
    transport: Transport, kind: str, identifier: str, delivery: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Result:
    asked = {name: value for name, value in wanted.items() if name != "max_price" and value is not None}
    version = asked.pop("version", None)
    body: Result = {"delivery": {**delivery, **asked}} | ({"version": version} if version else {})
    return dict(transport.json("POST", f"/api/{kind}/{identifier}/quote", body=body))


def _purchased(
    transport: Transport, kind: str, identifier: str, delivery: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[bytes, Result]:
    """Quote, check the price, buy and download. Raises AwarenessError, or PriceTooHigh before anything is bought."""
    quote, most = _quoted(transport, kind, identifier, delivery, wanted), wanted.get("max_price")
    price = quote["price"]
    if most is not None and price["amount"] > most:
        detail = f"it costs up to {price['amount']} {price['currency']} (minor units); you would pay {most}"
        raise PriceTooHigh({"code": "PRICE_TOO_HIGH", "detail": detail, "price": price})
    purchase = transport.json("POST", f"/api/{kind}/{identifier}/use", body={"quote": quote["quote"]})
    with transport.file(purchase["file"]["url"], digest=purchase["file"]["digest"]) as pieces:
        return b"".join(pieces), dict(purchase)
