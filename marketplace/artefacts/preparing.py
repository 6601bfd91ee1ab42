"""Make what a buyer gets of each kind of artefact."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from latentmas import blobs
from latentmas.protocol.long_term_memory import Delivered, write_selection
from latentmas.protocol.reasoning_chain import ReasoningChain, Step, read_chain, write_chain
from marketplace.artefacts.forms import FormedMemory, Json, Published, formed, trust_in
from marketplace.artefacts.models import ArtefactVersion
from marketplace.artefacts.offering import is_last_step, tokens_of
from marketplace.artefacts.segments import chosen_segments
from marketplace.artefacts.ways import way_of
from marketplace.sales.goods import Delivery, Form, Helper, Kind


@dataclass(frozen=True, slots=True)
class Unmarked:
    """The unmarked file of a delivery. `tokens` None: the kind has none."""

    data: bytes
    tokens: int | None
    helper: Helper | None = None
    report: Json = field(default_factory=dict)


def prepare_memory(version: ArtefactVersion, delivery: Delivery) -> Unmarked:
    """Return the memory. Raises what `formed` does."""
    tokens = tokens_of(version, Kind.MEMORY, delivery)
    way = way_of(version, Kind.MEMORY, delivery, tokens=tokens)
    memory = Published(version.file_digest, blobs.get_bytes(version.file_digest), version.contents["model"], tokens)
    done = formed(memory, delivery, way)
    return Unmarked(done.data, done.tokens, done.helper, done.report | trust_in(done.entries))


def prepare_chain(version: ArtefactVersion, delivery: Delivery) -> Unmarked:
    """Return the chain up to a step, with the memory at that step's end. Raises what `formed` does."""
    chain = read_chain(blobs.get_bytes(version.file_digest))
    count = len(chain.steps) if delivery.after_step is None else delivery.after_step
    tokens = tokens_of(version, Kind.REASONING_CHAIN, delivery)
    way = way_of(version, Kind.REASONING_CHAIN, delivery, tokens=tokens)
    memory = Published(version.file_digest, chain.memory, version.contents["model"], tokens)
    done = formed(memory, delivery, way, end=None if is_last_step(version, delivery) else chain.steps[count - 1].end)
    steps, report = chain.steps[:count], dict(done.report)
    if delivery.form is Form.ALIGNED and any(step.thoughts is not None for step in steps):
        steps = tuple(Step(step.text, step.end) for step in steps)
        report["thoughts"] = "left out: they are hidden states of the chain's own model"
    file = write_chain(ReasoningChain(steps, done.data))
    return Unmarked(file, done.tokens, done.helper, report | {"after_step": count} | trust_in(done.entries))


def prepare_selection(version: ArtefactVersion, delivery: Delivery) -> Unmarked:
    """Return the segments that a query chooses, each in the form that is asked for. Raises what `formed` does."""
    chosen = chosen_segments(version, query=delivery.query, token_budget=delivery.token_budget)
    most = tokens_of(version, Kind.LONG_TERM_MEMORY, delivery)
    way = way_of(version, Kind.LONG_TERM_MEMORY, delivery, tokens=most)  # one for all segments: it has one owner
    done: list[FormedMemory] = []
    for each in chosen:
        file, tokens = each.segment.file, each.segment.tokens
        done.append(formed(Published(file, blobs.get_bytes(file), version.contents["model"], tokens), delivery, way))
    segments = [
        Delivered(
            each.segment.segment_id,
            each.segment.session,
            one.entries,
            each.segment.text,
            each.relevance,
            one.data,
        )
        for each, one in zip(chosen, done, strict=True)
    ]
    tokens = sum(each.segment.tokens for each in chosen)  # of what was published, by which it is paid
    report: Json = {
        "segments": [
            {"segment": each.segment.segment_id, "tokens": each.segment.tokens} | one.report
            for each, one in zip(chosen, done, strict=True)
        ]
    }
    return Unmarked(
        write_selection(segments), tokens, done[0].helper, report | trust_in(sum(one.entries for one in done))
    )


def prepare_embeddings(version: ArtefactVersion, delivery: Delivery) -> Unmarked:
    """Return the file of vectors as it is."""
    del delivery
    return Unmarked(blobs.get_bytes(version.file_digest), None)


PREPARE: Mapping[Kind, Callable[[ArtefactVersion, Delivery], Unmarked]] = {
    Kind.MEMORY: prepare_memory,
    Kind.REASONING_CHAIN: prepare_chain,
    Kind.LONG_TERM_MEMORY: prepare_selection,
    Kind.EMBEDDING: prepare_embeddings,
}
