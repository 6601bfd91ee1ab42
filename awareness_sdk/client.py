"""`AwarenessClient`: one object per server, with an attribute for each part of its API."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Unpack

from awareness_sdk import exchange, market, vectors
from awareness_sdk.agents import AgentsClient
from awareness_sdk.calibration_packs import CalibrationPacksClient
from awareness_sdk.claims import AcceptancesClient, DisputesClient
from awareness_sdk.jobs import JobsClient, Progress
from awareness_sdk.kv_cache import KVCacheClient
from awareness_sdk.log import LogClient
from awareness_sdk.market import UsedChain, UsedEmbeddings, UsedMemory, UsedSegments
from awareness_sdk.memories import MemoriesClient
from awareness_sdk.money import MoneyClient
from awareness_sdk.paying import Payer
from awareness_sdk.purchases import PurchasesClient
from awareness_sdk.selling import Memory, Offer, SellingClient
from awareness_sdk.transport import Transport
from awareness_sdk.w_matrices import WMatricesClient
from latentmas.protocol.w_matrix import PROTOCOL

DEFAULT_BASE_URL = "http://127.0.0.1:8000"
ACCEPTED = 202
DEFAULT_TIMEOUT = 120.0  # seconds; a first call may compile kernels


class AwarenessClient:
    """Talks to one LatentMAS server. Reading needs no API key; make one with `manage.py create_token`.

    May be used in a `with` statement, which closes its connections. A `payer`, such as
    `awareness_sdk.paying.X402Payer`, pays the prices that a call meets and the wallet does not cover, within its limit.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str = DEFAULT_BASE_URL,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        payer: Payer | None = None,
    ) -> None:
        self._transport = Transport(base_url=base_url, api_key=api_key, timeout=timeout, payer=payer)
        self.kv_cache = KVCacheClient(self._transport)
        self.jobs = JobsClient(self._transport)
        self.calibration_packs = CalibrationPacksClient(self._transport)
        self.memories = MemoriesClient(self._transport)
        self.agents = AgentsClient(self._transport)
        self.selling = SellingClient(self._transport, self.memories)
        self.purchases = PurchasesClient(self._transport)
        self.disputes = DisputesClient(self._transport)
        self.acceptances = AcceptancesClient(self._transport)
        self.money = MoneyClient(self._transport)
        self.log = LogClient(self._transport)
        self.w_matrices = WMatricesClient(self._transport)

    def align_kv_cache(self, kv_cache: Any, source_model: str, target_model: str, **options: Any) -> dict[str, Any]:
        """Align one model's memory to another: returns `aligned_kv_cache` (a KVSnapshot) and `alignment_quality`.

        `kv_cache` is a KVSnapshot, the bytes of a raw or .kvz file, what `kv_cache.compress` returned, a mapping of
        the model's own `keys` and `values`, or the id of a stored memory. Where the text is known, `target_tokens` is
        what `transformers_bridge.target_tokens` returned. Options are the server's: target_spans, target_ids,
        source_spans, target_first_layer, target_weights, w_matrix_listing, w_matrix_version, minimum_retention,
        minimum_confidence, require_certificate, require_scope, require_inside, allow_partial. Raises AwarenessError
        with the protocol's code, and the decision among its facts, where the target should read the text instead.

        With `reread=0.125`, or `reread_tokens=32`, the target is to read so much itself: the positions stand in
        `reread`, for `transformers_bridge.read_in_place`. They are chosen here, by `text` and `question` and, if asked
        for, another `chooser` (`kvcache.exchange.rereading`) with its `surprisal`, `attention` or `embed`; none of
        these is sent.
        """
        return exchange.align_kv_cache(
            self._transport,
            kv_cache,
            adapter=self.kv_cache.model_adapter,
            options={"source_model": source_model, "target_model": target_model, **options},
        )

    def align_vector(self, vector: Any, source_model: str, target_model: str, **options: Any) -> dict[str, Any]:
        """Return a vector of one model in another's space: `aligned_vector`, `alignment_quality` and `w_matrix`.

        `vector` is `[width]`, or `[count, width]` for `aligned_vectors`. Options are the server's: w_matrix_version,
        minimum_quality, require_certificate, normalise, protocol ("LatentMAS/1.0" is understood). Raises
        AwarenessError with the protocol's code.
        """
        return vectors.align_vectors(
            self._transport, vector, options={"source_model": source_model, "target_model": target_model, **options}
        )

    def estimate_quality(self, source_model: str, target_model: str) -> dict[str, Any]:
        """Return what a pair may retain before a W-Matrix is made: `estimated_retention`, `knowledge` and `rests_on`.

        An estimate from measured pairs, not a measurement; `measured` is the figure of exactly this pair where there is
        one. Needs no API key. Raises AwarenessError with the protocol's code.
        """
        params = {"source_model": source_model, "target_model": target_model}
        return dict(self._transport.json("GET", "/api/w-matrices/estimate", params=params))

    def generate_w_matrix(
        self,
        source_model: str,
        target_model: str,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Return a W-Matrix that the server has made from calibration packs: version, `quality_metrics`, `basis`, url.

        Options are the server's: method ("learned", "orthogonal" or "hybrid"), source_pack, target_pack,
        unified_dimension. Waits for the job and calls `progress(stage, done, total)` as it advances; `timeout` is in
        seconds. Raises AwarenessError with the protocol's code.
        """
        body = {"protocol": PROTOCOL, "source_model": source_model, "target_model": target_model, **options}
        response = self._transport.send("POST", "/api/latentmas/w-matrix/generate", body=body)
        answer = dict(response.json())
        if response.status_code != ACCEPTED:
            return answer
        return self.jobs.wait(answer, progress=progress, timeout=timeout)

    def publish_memory(self, memory: Memory, **offer: Unpack[Offer]) -> dict[str, Any]:
        """List a memory for sale and return its card; it is offered after a screening.

        `memory` is a snapshot, a raw or .kvz file, or the id of a stored memory. `invertible` must be True: you know
        that the text which the model has read can be won back. Raises AwarenessError. `client.selling` lists the other
        kinds, and changes what is listed.
        """
        return self.selling.publish_memory(memory, **offer)

    def memories_on_sale(self, kind: str = market.MEMORIES, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield what is on sale, the cheapest first. Filters are the server's: model, seller, price_max, tokens_min.

        `kind` is "memories", "reasoning-chains", "long-term-memories" or "embeddings". Needs no API key.
        """
        return market.on_sale(self._transport, kind, filters)

    def memory_on_sale(self, memory_id: str, kind: str = market.MEMORIES) -> dict[str, Any]:
        """Return a card: of every version what was measured and what its screening has found, never what it holds."""
        return dict(self._transport.json("GET", f"/api/{kind}/{memory_id}"))

    def withdraw_memory(self, memory_id: str, *, reason: str) -> dict[str, Any]:
        """End the offer of a memory of your agent's for good, and return its card; who has bought keeps what he has."""
        return self.selling.withdraw(memory_id, reason=reason)

    def quote_memory(self, memory_id: str, model: str | None = None, **wanted: Any) -> dict[str, Any]:
        """Return what one use of a memory for a model costs your agent, and how the price comes about.

        Buys nothing. Wanted is that of `use_memory`; max_price is not looked at.
        """
        return market.quote_memory(self._transport, memory_id, model, wanted)

    def use_memory(self, memory_id: str, model: str | None = None, **wanted: Any) -> UsedMemory:
        """Buy one use of a memory for a model, by default its own; returns it ready for the model.

        Wanted may be: max_price in minor units, above which nothing is bought; version, minimum_retention,
        target_weights. Raises PriceTooHigh or AwarenessError; where the memory cannot be aligned well enough to the
        model nothing is charged.
        """
        return market.use_memory(self._transport, memory_id, model, wanted)

    def use_reasoning_chain(self, chain_id: str, model: str | None = None, **wanted: Any) -> UsedChain:
        """Buy one use of a reasoning chain for a model: its memory, from which the model goes on, and its steps.

        `after_step` ends it earlier than the last step. Otherwise as `use_memory`.
        """
        return market.use_chain(self._transport, chain_id, model, wanted)

    def select_long_term_memory(self, memory_id: str, **wanted: Any) -> dict[str, Any]:
        """Return which segments a `query` would choose within a `token_budget`: ids, tokens, relevance; free."""
        return dict(self._transport.json("POST", f"/api/{market.LONG_TERM}/{memory_id}/select", body=wanted))

    def use_long_term_memory(self, memory_id: str, model: str | None = None, **wanted: Any) -> UsedSegments:
        """Buy the segments that a `query` chooses within a `token_budget`. Otherwise as `use_memory`."""
        return market.use_segments(self._transport, memory_id, model, wanted)

    def buy_embeddings(self, embeddings_id: str, **wanted: Any) -> UsedEmbeddings:
        """Buy a file of embeddings. Wanted may be: max_price in minor units, version."""
        return market.buy_embeddings(self._transport, embeddings_id, wanted)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> "AwarenessClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
