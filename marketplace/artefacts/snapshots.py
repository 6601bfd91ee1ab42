"""Versions that are memories: KV-cache snapshots, and reasoning chains around one."""

from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings
from django.contrib.auth.models import User

from latentmas.protocol.cropping import check_crop, crop
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.reasoning_chain import ReasoningChain, Step, write_chain
from latentmas.protocol.snapshot import KVSnapshot, write_snapshot
from marketplace.artefacts.made import Made, check_canary, contents_of, stored
from marketplace.exchange.kv_cache_inputs import from_file
from marketplace.listings.events.listing import StoredFile
from marketplace.memories.models import StoredMemory
from marketplace.memories.opening import OpenedMemory, open_memory
from marketplace.memories.queries import file_of, get_memory


def made_memory(owner: User, *, memory: str, canary: int | None = None) -> Made:
    """Return the version that one of the account's stored memories is, byte for byte.

    Raises NotFound, InvalidInput, DimensionMismatch, ModelNotSupported or TooLarge.
    """
    row, data, opened = opened_memory(owner, memory)
    return Made(
        StoredFile(row.digest, row.size),
        contents_of(opened, coded_bytes=row.size),
        canary_of(data, opened, canary),
        sources=(row,),
    )


def made_chain(owner: User, *, memory: str, steps: Sequence[Step], canary: int | None = None) -> Made:
    """Return the version that a stored memory and the steps that led to it are; the last step ends where it does.

    Raises what `made_memory` does, and InvalidInput for steps that a model could not go on after.
    """
    row, data, opened = opened_memory(owner, memory)
    chain = ReasoningChain(tuple(steps), data)
    for place, step in enumerate(chain.steps, start=1):
        try:
            check_crop(opened.frame, step.end)
        except InvalidInput as error:
            raise InvalidInput(f"step {place}: {error.message}", resolution=error.advice, field="steps") from error
    if (end := chain.steps[-1].end) != opened.frame.next_position:
        raise InvalidInput(
            f"the last step ends after {end} tokens, the memory after {opened.frame.next_position}", field="steps"
        )
    held = tuple(int((opened.frame.positions < step.end).sum()) for step in chain.steps)
    return Made(
        stored(write_chain(chain)),
        replace(contents_of(opened, coded_bytes=row.size, parts=len(chain.steps)), steps=held),
        canary_of(data, opened, canary),
        sources=(row,),
    )


def opened_memory(owner: User, memory_id: str) -> tuple[StoredMemory, bytes, OpenedMemory]:
    """Return one of the account's stored memories with its file. Raises NotFound."""
    row = get_memory(owner, memory_id=memory_id)
    data = file_of(row)
    return row, data, open_memory(data, max_decoded_bytes=settings.KV_CACHE_MAX_BYTES)


def snapshot_in(data: bytes, model: str) -> KVSnapshot:
    """Return the snapshot in a raw or .kvz file, decoded, under the registry's name of its model."""
    return from_file(data, source_model=model).snapshot


def canary_of(data: bytes, opened: OpenedMemory, tokens: int | None) -> StoredFile | None:
    """Store the memory of the first tokens of the context as a raw snapshot, which is given away; None for none."""
    if tokens is None:
        return None
    check_canary(tokens, opened.frame.next_position)
    part = crop(snapshot_in(data, opened.model), tokens)
    return stored(write_snapshot(KVSnapshot(replace(part.frame, model=opened.model), part.keys, part.values)))
