"""Versions of long-term memories: collections of segments, to which more are appended."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import numpy as np
from django.contrib.auth.models import User

from latentmas import blobs
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.long_term_memory import (
    COLLECTION,
    Chosen,
    Collection,
    SegmentText,
    choose,
    choose_newest,
    read_collection,
    write_collection,
)
from marketplace.artefacts.events import Contents, Segment
from marketplace.artefacts.made import Made, contents_of, stored
from marketplace.artefacts.models import ArtefactVersion
from marketplace.artefacts.snapshots import canary_of, opened_memory
from marketplace.exchange.encoder import sentence_encoder
from marketplace.listings.events.listing import StoredFile
from marketplace.memories.models import StoredMemory
from marketplace.memories.opening import OpenedMemory
from marketplace.texts.checks import check_text

SEGMENT_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class GivenSegment:
    """A stored memory that becomes a segment. `text` is what it is found by: what the model read, or what of it."""

    memory: str
    text: str
    session: int


def made_collection(owner: User, *, segments: Sequence[GivenSegment], canary: int | None = None) -> Made:
    """Return the first version of a long-term memory; the canary is of its first segment.

    Raises NotFound, InvalidInput, DimensionMismatch, ModelNotSupported or TooLarge.
    """
    if not segments:
        raise InvalidInput("a long-term memory needs a segment", field="segments")
    read = [_read(owner, each) for each in segments]
    made = _appended(None, None, segments, read)
    return replace(made, canary=canary_of(read[0].data, read[0].opened, canary))


def appended(owner: User, row: ArtefactVersion, *, segments: Sequence[GivenSegment]) -> Made:
    """Return the version that a long-term memory becomes by further segments. Raises as `made_collection` does."""
    read = [_read(owner, each) for each in segments]
    return _appended(collection_of(row), Contents(**row.contents), segments, read)


def collection_of(row: ArtefactVersion) -> Collection:
    """Return a version's collection. Raises NotFound where its file is gone."""
    return read_collection(blobs.get_bytes(row.file_digest))


def chosen_segments(row: ArtefactVersion, *, query: str | None, token_budget: int | None) -> list[Chosen]:
    """Return the segments that a query chooses within a budget, in the order of appending.

    Without a query these are the newest. Raises InvalidInput where none fits, or ModelNotSupported where the query
    cannot be embedded here.
    """
    collection = collection_of(row)
    budget = sum(each.tokens for each in collection.segments) if token_budget is None else token_budget
    if query is not None:
        return choose(collection, sentence_encoder().embed([query])[0], token_budget=budget)
    return choose_newest(collection, token_budget=budget)


@dataclass(frozen=True, slots=True)
class _Read:
    row: StoredMemory
    data: bytes
    opened: OpenedMemory


def _read(owner: User, given: GivenSegment) -> _Read:
    check_text(given.text, "text", SEGMENT_CHARACTERS)
    return _Read(*opened_memory(owner, given.memory))


def _appended(
    before: Collection | None, contents: Contents | None, given: Sequence[GivenSegment], read: Sequence[_Read]
) -> Made:
    first = 0 if before is None else len(before.segments)
    model = read[0].opened.model if before is None else before.model
    for each in read:
        if each.opened.model != model:
            raise InvalidInput(f"a segment is of {each.opened.model}, the others are of {model}", field="segments")
    segments = tuple(
        Segment(str(uuid4()), first + place, asked.session, StoredFile(each.row.digest, each.row.size), each.row.tokens)
        for place, (asked, each) in enumerate(zip(given, read, strict=True))
    )
    collection = _joined(before, model, segments, [each.text for each in given])
    return Made(
        stored(write_collection(collection)),
        _contents(contents, read, parts=len(collection.segments)),
        segments=segments,
        sources=tuple(each.row for each in read),
    )


def _joined(before: Collection | None, model: str, segments: Sequence[Segment], texts: Sequence[str]) -> Collection:
    encoder = sentence_encoder()
    embeddings = encoder.embed(texts)
    known: tuple[SegmentText, ...] = ()
    if before is not None:
        if before.encoder_weights != encoder.weights:  # vectors of two models cannot be compared
            embeddings = encoder.embed([*(each.text for each in before.segments), *texts])
        else:
            embeddings = np.concatenate([before.embeddings, embeddings])
        known = before.segments
    added = (
        SegmentText(each.segment_id, each.session, each.tokens, each.file.digest, text)
        for each, text in zip(segments, texts, strict=True)
    )
    return Collection(model, encoder.name, encoder.weights, (*known, *added), embeddings)


def _contents(before: Contents | None, read: Sequence[_Read], *, parts: int) -> Contents:
    """Return what the card says of all segments together."""
    each = [contents_of(one.opened, coded_bytes=one.row.size) for one in read]
    every = [*([before] if before else []), *each]
    methods = {one.method for one in every}
    weights = {one.weights for one in every}
    return replace(
        each[0],
        tokens=sum(one.tokens for one in every),
        raw_bytes=sum(one.raw_bytes for one in every),
        coded_bytes=sum(one.coded_bytes for one in every),
        method=methods.pop() if len(methods) == 1 else COLLECTION,
        weights=weights.pop() if len(weights) == 1 else None,
        next_position=None,
        profile=None,
        parts=parts,
    )
