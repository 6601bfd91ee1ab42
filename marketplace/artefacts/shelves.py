"""The four kinds of artefacts as their addresses know them: what is sent to publish one, and what it becomes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from latentmas.protocol.reasoning_chain import Step
from latentmas.rest.parameters import StrictSerializer
from marketplace.artefacts import inputs
from marketplace.artefacts.embeddings import made_embeddings
from marketplace.artefacts.made import Made
from marketplace.artefacts.outputs import PATHS
from marketplace.artefacts.segments import GivenSegment, made_collection
from marketplace.artefacts.snapshots import made_chain, made_memory
from marketplace.sales.goods import Kind

Wanted = dict[str, Any]
STORED = "5f0c3a8e5f0c3a8e5f0c3a8e5f0c3a8e"
OFFER = {
    "title": "Minutes of a meeting",
    "price": {"amount": 500, "currency": "USD"},
    "rights": "I wrote the text, and sell its memory.",
    "invertible": True,
}


@dataclass(frozen=True, slots=True)
class Shelf:
    """One kind of artefacts. `make(login, agent, wanted)` makes a version of what was sent.

    Without `next` versions come about otherwise: a long-term memory's by appending.
    """

    kind: Kind
    create: type[StrictSerializer]
    next: type[StrictSerializer] | None
    make: Callable[[User, str, Wanted], Made]
    example: Mapping[str, Any]

    @property
    def path(self) -> str:
        return PATHS[self.kind]

    @property
    def prefix(self) -> str:
        """What the operations of its addresses begin with."""
        return self.path.replace("-", "_")


def _memory(login: User, agent: str, wanted: Wanted) -> Made:
    del agent
    return made_memory(login, memory=wanted["memory"], canary=wanted.get("canary"))


def _chain(login: User, agent: str, wanted: Wanted) -> Made:
    del agent
    steps = [Step(**step) for step in wanted["steps"]]
    return made_chain(login, memory=wanted["memory"], steps=steps, canary=wanted.get("canary"))


def _collection(login: User, agent: str, wanted: Wanted) -> Made:
    del agent
    return made_collection(login, segments=segments_of(wanted), canary=wanted.get("canary"))


def _embeddings(login: User, agent: str, wanted: Wanted) -> Made:
    del login
    return made_embeddings(agent, upload=wanted["upload"], model=wanted["model"], canary=wanted.get("canary"))


def segments_of(wanted: Wanted) -> list[GivenSegment]:
    return [GivenSegment(**segment) for segment in wanted["segments"]]


SHELVES = (
    Shelf(Kind.MEMORY, inputs.MemoryInput, inputs.MemoryVersionInput, _memory, OFFER | {"memory": STORED}),
    Shelf(
        Kind.REASONING_CHAIN,
        inputs.ChainInput,
        inputs.ChainVersionInput,
        _chain,
        OFFER | {"memory": STORED, "steps": [{"text": "So it is.", "end": 4}]},
    ),
    Shelf(
        Kind.LONG_TERM_MEMORY,
        inputs.CollectionInput,
        None,
        _collection,
        OFFER | {"segments": [{"memory": STORED, "text": "What was agreed on Monday.", "session": 1}]},
    ),
    Shelf(
        Kind.EMBEDDING,
        inputs.EmbeddingsInput,
        inputs.EmbeddingsVersionInput,
        _embeddings,
        OFFER | {"upload": STORED, "model": "smollm2-135m"},
    ),
)
