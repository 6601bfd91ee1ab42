"""`client.selling`: list memories, reasoning chains, long-term memories and embeddings, and change what is listed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

from awareness_sdk import uploads
from awareness_sdk.market import CHAINS, EMBEDDINGS, LONG_TERM, MEMORIES
from awareness_sdk.memories import MemoriesClient
from awareness_sdk.transport import Transport
from latentmas.protocol.reasoning_chain import Step as Step
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array
from latentmas.protocol.vectors import write_vectors

Result = dict[str, Any]
Memory = KVSnapshot | bytes | Path | str  # a snapshot, a raw or .kvz file, or the id of a stored memory
Vectors = Array | bytes | os.PathLike[str]  # [count, width], or a file of vectors


class Statement(TypedDict, total=False):
    """What a seller says of a version.

    `invertible` must be True: you know that the text which the model has read can be won back. `parents` are what it is
    made from: `{"artefact": id, "royalty_basis_points": 1000}`.
    """

    rights: Required[str]
    invertible: Required[bool]
    parents: Sequence[Mapping[str, Any]]
    canary: int  # so many tokens (of embeddings: vectors) from the beginning are given away


class Offer(Statement, total=False):
    """What a seller says of an artefact and its first version; amounts are minor units."""

    title: Required[str]
    price: Required[int | Mapping[str, Any]]  # minor units of USD, or {"amount": 500, "currency": "EUR"}
    description: str
    version: str
    floor: int
    discount: int  # per cent


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A memory that becomes a segment of a long-term memory. `text` is what it is found by; sessions count from 1."""

    memory: Memory
    text: str
    session: int


class SellingClient:
    """`client.selling`. It needs the scope `memories:publish`, `memories:write` too for what is not stored yet.

    Every call returns the artefact's card and raises AwarenessError with the server's code. A version is offered after
    its screening, and never changes. A change of what somebody has changed since is an error (412), not overwritten.
    """

    def __init__(self, transport: Transport, memories: MemoriesClient) -> None:
        self._transport, self._memories = transport, memories

    def publish_memory(self, memory: Memory, **offer: Unpack[Offer]) -> Result:
        """List a memory."""
        return self._listed(MEMORIES, {"memory": self._stored(memory)}, offer)

    def publish_reasoning_chain(self, memory: Memory, steps: Sequence[Step], **offer: Unpack[Offer]) -> Result:
        """List a reasoning chain: its steps, and the memory of a model that went all of them."""
        return self._listed(CHAINS, self._chain(memory, steps), offer)

    def publish_long_term_memory(self, segments: Sequence[NewSegment], **offer: Unpack[Offer]) -> Result:
        """List a long-term memory with its first segments, to which more can be appended."""
        return self._listed(LONG_TERM, {"segments": self._segments(segments)}, offer)

    def publish_embeddings(self, vectors: Vectors, *, model: str, **offer: Unpack[Offer]) -> Result:
        """List vectors `[count, width]` of a model, or a file of them; their `price` is what they cost."""
        return self._listed(EMBEDDINGS, self._vectors(vectors, model), offer)

    def publish_memory_version(
        self, memory_id: str, memory: Memory, *, version: str, **said: Unpack[Statement]
    ) -> Result:
        """Publish another version of a memory; its number is above the last one's."""
        return self._published(MEMORIES, memory_id, {"memory": self._stored(memory), "version": version}, said)

    def publish_chain_version(
        self, chain_id: str, memory: Memory, steps: Sequence[Step], *, version: str, **said: Unpack[Statement]
    ) -> Result:
        """Publish another version of a reasoning chain."""
        return self._published(CHAINS, chain_id, self._chain(memory, steps) | {"version": version}, said)

    def publish_embeddings_version(
        self, embeddings_id: str, vectors: Vectors, *, model: str, version: str, **said: Unpack[Statement]
    ) -> Result:
        """Publish another version of embeddings."""
        return self._published(EMBEDDINGS, embeddings_id, self._vectors(vectors, model) | {"version": version}, said)

    def append_segments(self, memory_id: str, segments: Sequence[NewSegment], **said: Unpack[Statement]) -> Result:
        """Append segments to a long-term memory, which make its next minor version."""
        body = {"segments": self._segments(segments), **said}
        return self._transport.change("POST", f"/api/{LONG_TERM}/{memory_id}", "/segments", body=body)

    def set_terms(
        self,
        artefact_id: str,
        *,
        kind: str = MEMORIES,
        price: int | Mapping[str, Any],
        floor: int | None = None,
        discount: int = 0,
    ) -> Result:
        """Change what later sales cost; all three are replaced."""
        body = {"price": price, "floor": floor, "discount": discount}
        return self._transport.change("PUT", f"/api/{kind}/{artefact_id}", "/price", body=body)

    def withdraw(self, artefact_id: str, *, kind: str = MEMORIES, reason: str) -> Result:
        """End an offer for good; who has bought keeps what he has."""
        return self._transport.change("POST", f"/api/{kind}/{artefact_id}", "/withdraw", body={"reason": reason})

    def _listed(self, kind: str, content: Mapping[str, Any], offer: Mapping[str, Any]) -> Result:
        return dict(self._transport.json("POST", f"/api/{kind}", body={**content, **offer}))

    def _published(self, kind: str, artefact_id: str, content: Mapping[str, Any], said: Mapping[str, Any]) -> Result:
        body = {**content, **said}
        return self._transport.change("POST", f"/api/{kind}/{artefact_id}", "/versions", body=body)

    def _stored(self, memory: Memory) -> str:
        return memory if isinstance(memory, str) else str(self._memories.upload(memory)["id"])

    def _chain(self, memory: Memory, steps: Sequence[Step]) -> Result:
        return {"memory": self._stored(memory), "steps": [_step(each) for each in steps]}

    def _segments(self, segments: Sequence[NewSegment]) -> list[Result]:
        return [{"memory": self._stored(each.memory), "text": each.text, "session": each.session} for each in segments]

    def _vectors(self, vectors: Vectors, model: str) -> Result:
        source = vectors if isinstance(vectors, bytes | os.PathLike) else write_vectors(vectors, model=model)
        return {"upload": uploads.upload(self._transport, source)["id"], "model": model}


def _step(step: Step) -> Result:
    thoughts = {} if step.thoughts is None else {"thoughts": step.thoughts.tolist()}
    return {"text": step.text, "end": step.end, **thoughts}
