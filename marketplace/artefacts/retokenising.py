"""Memories on sale in the tokens of models that they may be delivered to: what is on record, and what is to be made.

Whoever sells a memory with its token ids has said which text it is of, so a delivery to another model can know that
model's tokens. Making them needs both models: a job by the name of its kind does it, whose handler can run models.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from latentmas import blobs
from latentmas.protocol.quality import ModelIdentity
from marketplace.artefacts.models import Artefact, ArtefactSegment, ArtefactVersion, Retokenised, Screening
from marketplace.listings.choosing.choice import certified_from
from marketplace.sales.goods import Kind

RETOKENISE = "memory.retokenise"  # the kind of the job; its argument `versions` are <artefact>/<version>
ONE_FILE = (Kind.MEMORY, Kind.REASONING_CHAIN)
MEMORIES = (*ONE_FILE, Kind.LONG_TERM_MEMORY)


@dataclass(frozen=True, slots=True)
class TokensMade:
    """A file of a memory's text in the target's tokens, how many these are, and of how many first layers it tells."""

    file: bytes
    tokens: int
    layers: int


def targets_of(source_model: str, *, at: datetime) -> list[ModelIdentity]:
    """Return what certified W-Matrices lead to from a model: each target with the weights that they are for."""
    rows = certified_from(source_model, at=at).filter(target_weights__isnull=False)
    pairs = rows.order_by("target_model", "target_weights").values_list("target_model", "target_weights")
    return [ModelIdentity(*pair) for pair in pairs.distinct()]


@dataclass(frozen=True, slots=True)
class ReadFor:
    """Whether a version can be delivered in the tokens of a model, all of it, or why not."""

    model: str
    weights: str
    known: bool
    reason: str | None


def read_for(versions: Sequence[ArtefactVersion], kind: Kind) -> dict[str, list[ReadFor]]:
    """Return the models in whose tokens an artefact's versions were read or tried to be, by the versions' ids."""
    memories = memories_by_version(versions, kind)
    tried: dict[ModelIdentity, dict[str, Retokenised]] = {}
    for row in on_record({each for several in memories.values() for each in several}).order_by("target_model", "id"):
        tried.setdefault(ModelIdentity(row.target_model, row.target_weights), {})[row.memory] = row
    return {
        version: [_read_for(target, rows, of=set(several)) for target, rows in tried.items() if rows.keys() & several]
        for version, several in memories.items()
    }


def record_tokens(memory: str, target: ModelIdentity, made: TokensMade) -> None:
    """Keep a memory's tokens of a target; what was there before is replaced."""
    _record(memory, target, file_digest=blobs.put_bytes(made.file), tokens=made.tokens, layers=made.layers, reason="")


def record_no_tokens(memory: str, target: ModelIdentity, *, reason: str) -> None:
    """Record why a memory cannot be had in a target's tokens, in a sentence that quotes nothing of its text."""
    _record(memory, target, file_digest=None, tokens=None, layers=None, reason=reason)


def on_record(memories: Collection[str], target_model: str | None = None) -> QuerySet[Retokenised]:
    """Return what is on record of memories, by their files' digests."""
    rows = Retokenised.objects.filter(memory__in=memories)
    return rows if target_model is None else rows.filter(target_model=target_model)


def memories_of(version: ArtefactVersion, kind: Kind) -> list[str]:
    """Return the digests of a version's memories: of its file, of each of its segments, or none of embeddings."""
    return memories_by_version([version], kind)[version.id]


def memories_by_version(versions: Sequence[ArtefactVersion], kind: Kind) -> dict[str, list[str]]:
    """Return what `memories_of` does of an artefact's versions, by their ids."""
    if kind is not Kind.LONG_TERM_MEMORY:
        return {each.id: [each.file_digest] if kind in ONE_FILE else [] for each in versions}
    segments = ArtefactSegment.objects.filter(artefact_id__in={each.artefact_id for each in versions})
    files = list(segments.order_by("place").values_list("file_digest", flat=True))
    # Segments are only appended, so a version has the first ones.
    return {each.id: files[: each.contents["parts"]] for each in versions}


def versions_to_do(sources: Iterable[str], here: Collection[ModelIdentity], *, at: datetime, limit: int) -> list[str]:
    """Return versions on offer of models, some memory of which has not been tried for a target that is `here`.

    Targets are those that a certified W-Matrix leads to, with its very weights. Each is <artefact>/<version>.
    """
    found: dict[str, None] = {}
    for source in sorted(sources):
        for target in targets_of(source, at=at):
            if target in here and len(found) < limit:
                found |= dict.fromkeys(_untried(source, target, limit=limit - len(found)))
    return list(found)


def forget_withdrawn() -> int:
    """Forget the tokens of memories that nobody offers any more, and return how many; a sweep deletes the files."""
    artefacts = Artefact.objects.filter(withdrawn_at=None).values("id")
    versions = ArtefactVersion.objects.filter(artefact_id__in=artefacts).values("file_digest")
    segments = ArtefactSegment.objects.filter(artefact_id__in=artefacts).values("file_digest")
    return Retokenised.objects.exclude(Q(memory__in=versions) | Q(memory__in=segments)).delete()[0]


def _read_for(target: ModelIdentity, rows: Mapping[str, Retokenised], *, of: set[str]) -> ReadFor:
    reasons = sorted({rows[memory].reason for memory in of & rows.keys() if not rows[memory].known})
    waiting = len(of - rows.keys())
    reason = reasons[0] if reasons else f"{waiting} of its {len(of)} segments wait" if waiting else None
    return ReadFor(target.name, target.weights or "", reason is None, reason)


def _record(memory: str, target: ModelIdentity, **found: object) -> None:
    place: dict[str, Any] = {"memory": memory, "target_model": target.name, "target_weights": target.weights}
    Retokenised.objects.update_or_create(**place, defaults={**found, "made_at": timezone.now()})


def _untried(source: str, target: ModelIdentity, *, limit: int) -> Sequence[str]:
    tried = Retokenised.objects.filter(
        memory=OuterRef("file_digest"), target_model=target.name, target_weights=target.weights
    )
    on_sale = Artefact.objects.filter(model=source, version__isnull=False)
    one = ArtefactVersion.objects.filter(
        ~Exists(tried), screening=Screening.PASSED, artefact_id__in=on_sale.filter(kind__in=ONE_FILE).values("id")
    )
    passed = ArtefactVersion.objects.filter(
        screening=Screening.PASSED, artefact_id=OuterRef("artefact_id"), version=OuterRef("version")
    )
    some = ArtefactSegment.objects.filter(
        ~Exists(tried), Exists(passed), artefact_id__in=on_sale.filter(kind=Kind.LONG_TERM_MEMORY).values("id")
    )
    parts = on_sale.filter(id__in=some.values("artefact_id")).order_by("id").values_list("id", "version")
    names = [*one.order_by("id").values_list("id", flat=True)[:limit]]
    return [*names, *(f"{artefact}/{version}" for artefact, version in parts[: limit - len(names)])]
